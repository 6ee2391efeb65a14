"""ROICaT's tracking on footprints, without what it downloads, in ROICaT's own environment.

    ROICAT_ENV/bin/python peers/roicat_tracks.py FOOTPRINTS.npz ASSIGNMENTS.npy [GEOMETRIC]

The steps and settings of its `pipeline_tracking` but for two of which the weights come from elsewhere:
GEOMETRIC aligns in place of RoMa (SIFT: the first in its order, of those that learned nothing, with which its
own check took all days of a draw of seed 1 for aligned), and cells are alike by overlap and by scattering
wavelets, without ROInet. Fields are each session's largest footprint at each pixel.
Prints the seconds that it took, and those of the processor.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any

import numpy as np
from roicat import ROInet, data_importing, tracking, util
from scipy.sparse import csr_array


def main(source: str, target: str, geometric: str = "SIFT") -> None:
    with np.load(source) as content:
        height, width = content["shape"].tolist()
        sessions = [
            csr_array(
                (content[f"data{n}"], content[f"indices{n}"], content[f"indptr{n}"]),
                shape=(k, height * width),
            )
            for n, k in enumerate(content["counts"].tolist())
        ]
    begin, cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(sys.stderr):
        labels = register(sessions, height, width, geometric)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    day = np.repeat(np.arange(len(sessions)), [one.shape[0] for one in sessions])
    row = np.concatenate([np.arange(one.shape[0]) for one in sessions])
    # A cell of no cluster has the label -1.
    cell = np.full((labels.max() + 1, len(sessions)), -1)
    cell[labels[labels >= 0], day[labels >= 0]] = row[labels >= 0]
    np.save(target, cell)
    print(seconds, cpu)


def register(sessions: list[csr_array], height: int, width: int, geometric: str) -> np.ndarray:
    """Each cell's cluster, over all sessions, -1 for none."""
    chosen: dict[str, Any] = util.get_default_parameters(pipeline="tracking")
    seed = util.set_random_seed(seed=0, deterministic=True)
    shape = chosen["data_loading"]["common"]
    data = data_importing.Data_roicat(verbose=False)
    data.set_spatialFootprints(sessions, um_per_pixel=shape["um_per_pixel"])
    data.set_FOV_images([one.max(axis=0).toarray().reshape(height, width) for one in sessions])
    data._make_spatialFootprintCentroids(method=shape["centroid_method"])
    data.transform_spatialFootprints_to_ROIImages(out_height_width=shape["out_height_width"])

    align = chosen["alignment"]
    aligner = tracking.alignment.Aligner(
        um_per_pixel=data.um_per_pixel[0], device="cpu", verbose=False, **align["initialization"]
    )
    fields = aligner.augment_FOV_images(
        FOV_images=data.FOV_images, spatialFootprints=data.spatialFootprints, **align["augment"]
    )
    align["fit_geometric"]["method"] = geometric
    aligner.fit_geometric(ims_moving=fields, verbose=False, **align["fit_geometric"])
    aligner.transform_images_geometric(fields)
    aligner.fit_nonrigid(
        ims_moving=aligner.ims_registered_geo,
        remappingIdx_init=aligner.remappingIdx_geo,
        **align["fit_nonrigid"],
    )
    aligner.transform_ROIs(
        ROIs=data.spatialFootprints, remappingIdx=aligner.remappingIdx_nonrigid, **align["transform_ROIs"]
    )

    blurrer = tracking.blurring.ROI_Blurrer(
        frame_shape=(height, width), plot_kernel=False, **chosen["blurring"]
    )
    blurrer.blur_ROIs(spatialFootprints=aligner.ROIs_aligned[:])
    images = ROInet.Preprocessor_ROI_images(verbose=False).scale_normalize_images(
        ROI_images=data.ROI_images, um_per_pixel=data.um_per_pixel
    )
    wavelets = tracking.scatteringWaveletTransformer.SWT(
        image_shape=data.ROI_images[0].shape[1:3],
        device="cpu",
        kwargs_Scattering2D=chosen["SWT"]["kwargs_Scattering2D"],
    )
    wavelets.transform(ROI_images=images, batch_size=chosen["SWT"]["batch_size"])

    metrics = [one for one in tracking.similarity_graph.DEFAULT_METRICS if one.name != "nn"]
    graph = chosen["similarity_graph"]
    graph["sparsification"]["n_workers"] = len(os.sched_getaffinity(0))
    alike = tracking.similarity_graph.ROI_graph(
        frame_height=height,
        frame_width=width,
        verbose=False,
        metric_configs=metrics,
        **graph["sparsification"],
    )
    alike.compute_similarity_blockwise(
        spatialFootprints=blurrer.ROIs_blurred,
        ROI_session_bool=data.session_bool,
        features={"swt": wavelets.latents},
        **graph["compute_similarity"],
    )
    alike.make_normalized_similarities(
        centers_of_mass=data.centroids,
        features={"swt": wavelets.latents},
        device="cpu",
        k_max=data.n_sessions * graph["normalization"]["k_max"],
        k_min=data.n_sessions * graph["normalization"]["k_min"],
        algo_NN=graph["normalization"]["algo_NN"],
    )

    cluster = chosen["clustering"]
    clusterer = tracking.clustering.Clusterer(
        similarities=alike.similarities_final,
        metric_configs=metrics,
        s_sesh=alike.s_sesh,
        session_bool=data.session_bool,
        verbose=False,
    )
    mixing = cluster["parameters_automatic_mixing"]
    bounds = mixing["bounds_findParameters"]
    mixing["bounds_findParameters"] = {name: value for name, value in bounds.items() if "nn" not in name}
    mixed = clusterer.find_optimal_parameters_for_pruning(seed=seed, **mixing)
    clusterer.make_pruned_similarity_graphs(mixing_params=mixed, **cluster["pruning"])
    given: dict[str, Any] = {"d_conj": clusterer.dConj_pruned, "session_bool": data.session_bool}
    if data.n_sessions >= cluster["cluster_method"]["n_sessions_switch"]:
        return np.asarray(clusterer.fit(**given, **cluster["hdbscan"]), int)
    return np.asarray(clusterer.fit_singleLinkage(**given, **cluster["single_linkage"]), int)


if __name__ == "__main__":
    main(*sys.argv[1:])

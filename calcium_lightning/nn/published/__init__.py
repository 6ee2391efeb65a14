"""The networks of the published system, each usable alone.

"Data Analysis for Single Photon Calcium Imaging with Deep Learning" (Teng, Putti, Schneider, Magdeburg 2021).
For: its encoder, its painters of dots, its similarity scores and its decoder, so that the design of this
package can be compared with it part by part.
Must not know: sessions, losses, optimisers, files other than weights.

Where the paper leaves something open (kernel sizes, numbers of layers) the choice is said where it is made.
"""

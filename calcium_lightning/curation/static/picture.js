// A picture of numbers with a window of brightness and contrast: layers of 16 bits, frames of 8. Knows pixels only.

export class Picture {
  constructor(values, about) {
    Object.assign(this, { values, height: about.height, width: about.width, low: about.low, high: about.high, name: about.name || "", unit: about.unit || "" });
    this.steps = values instanceof Uint16Array ? 65535 : 255;
    this.shown = about.shown || [about.low, about.high];
    this.canvas = new OffscreenCanvas(this.width, this.height);
    this.pen = this.canvas.getContext("2d");
    this.image = this.pen.createImageData(this.width, this.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.table = new Uint32Array(this.steps + 1);
    this.window = null;
  }

  // The same canvas with the numbers of another frame.
  take(values) {
    this.values = values;
    if (this.window) this.paint(...this.window, true);
  }

  paint(black, white, anyway = false) {
    if (!anyway && this.window && this.window[0] === black && this.window[1] === white) return;
    if (!this.window || this.window[0] !== black || this.window[1] !== white) {
      const unit = (this.high - this.low) / this.steps, span = Math.max(white - black, 1e-9);
      for (let step = 0; step <= this.steps; step++) {
        const grey = Math.max(0, Math.min(255, Math.round((255 * (this.low + step * unit - black)) / span)));
        this.table[step] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
      }
    }
    this.window = [black, white];
    const { pixels, values, table } = this;
    for (let i = 0; i < values.length; i++) pixels[i] = table[values[i]];
    this.pen.putImageData(this.image, 0, 0);
  }

  at(y, x) {
    const row = Math.floor(y), column = Math.floor(x);
    if (row < 0 || column < 0 || row >= this.height || column >= this.width) return null;
    return this.low + (this.values[row * this.width + column] / this.steps) * (this.high - this.low);
  }
}

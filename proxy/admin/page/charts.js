// Line charts as inline SVG. Elements are made once and only their attributes change: nothing flickers.
const NS = 'http://www.w3.org/2000/svg';
const WIDTH = 300, HEIGHT = 110, LEFT = 38, BOTTOM = 14, TOP = 6;
const SPAN_MS = 300000;

function element(name, attributes, parent) {
  const node = document.createElementNS(NS, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (parent) parent.appendChild(node);
  return node;
}

function set(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// The next "round" number above `value`: 1, 2 or 5 times a power of ten.
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = Math.pow(10, Math.floor(Math.log10(value)));
  for (const step of [1, 2, 5, 10]) if (value <= step * power) return step * power;
  return 10 * power;
}

export class Chart {
  // `lines`: functions from a sample to a number; the first is filled. `format`: number to text.
  constructor(svg, label, lines, format) {
    this.svg = svg;
    this.label = label;
    this.lines = lines;
    this.format = format;
    set(svg, 'viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    set(svg, 'preserveAspectRatio', 'none');
    element('line', {class: 'grid', x1: LEFT, x2: WIDTH, y1: TOP, y2: TOP}, svg);
    element('line', {class: 'grid', x1: LEFT, x2: WIDTH, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM}, svg);
    this.marks = element('g', {}, svg);
    this.area = element('path', {class: 'area'}, svg);
    this.paths = lines.map((_, i) => element('path', {class: i ? 'line second' : 'line'}, svg));
    this.top = element('text', {x: 0, y: TOP + 8}, svg);
    const zero = element('text', {x: 0, y: HEIGHT - BOTTOM}, svg);
    zero.textContent = '0';
    const from = element('text', {x: LEFT, y: HEIGHT - 2}, svg);
    from.textContent = '5 min ago';
    const to = element('text', {x: WIDTH - 1, y: HEIGHT - 2, 'text-anchor': 'end'}, svg);
    to.textContent = 'now';
  }

  // `marks`: moments to point at, in milliseconds since 1970.
  draw(samples, now, marks) {
    const maximum = ceiling(Math.max(0, ...samples.map(s => Math.max(...this.lines.map(line => line(s))))));
    const x = t => LEFT + (WIDTH - LEFT) * (1 - (now - t) / SPAN_MS);
    const y = v => TOP + (HEIGHT - BOTTOM - TOP) * (1 - v / maximum);
    const visible = samples.filter(s => now - s.t <= SPAN_MS);
    this.lines.forEach((line, i) => {
      const points = visible.map(s => `${x(s.t).toFixed(1)} ${y(line(s)).toFixed(1)}`);
      const path = points.length ? 'M' + points.join('L') : '';
      set(this.paths[i], 'd', path);
      if (i === 0) {
        const base = HEIGHT - BOTTOM;
        set(this.area, 'd', points.length
          ? `${path}L${x(visible[visible.length - 1].t).toFixed(1)} ${base}L${x(visible[0].t).toFixed(1)} ${base}Z` : '');
      }
    });
    if (this.top.textContent !== this.format(maximum)) this.top.textContent = this.format(maximum);
    const shown = marks.filter(t => now - t <= SPAN_MS);
    while (this.marks.childNodes.length > shown.length) this.marks.lastChild.remove();
    shown.forEach((t, i) => {
      const mark = this.marks.childNodes[i] ||
        element('line', {class: 'mark', y1: TOP, y2: HEIGHT - BOTTOM}, this.marks);
      set(mark, 'x1', x(t).toFixed(1));
      set(mark, 'x2', x(t).toFixed(1));
    });
    const last = visible[visible.length - 1];
    const words = last ? this.lines.map(line => this.format(line(last))).join(', ') : 'nothing yet';
    set(this.svg, 'aria-label', `${this.label}: now ${words}; highest on the scale ${this.format(maximum)}`);
  }
}

// The pictures: bars of SVG, made of elements and attributes alone, since what they name may come from
// whoever sends packets.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 190;
const LEFT = 44;
const BOTTOM = 18;
const TOP = 8;
// Bars that are narrower than this cannot be told apart.
const NARROWEST = 4;

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

// An SVG element with these attributes and this text.
function shape(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  if (text !== undefined) {
    element.textContent = text;
  }
  return element;
}

// The least of 1, 2, 5, 10, 20 … that is no less than this.
function rounded(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].find((step) => step * power >= most) * power;
}

// Draws stacked bars: each of `bars` has a `label` and `parts`, a value for each of `names`; a title
// says `unit`. Below stand the labels of those that `isLabelled` says.
export function draw(container, { bars, names, unit, isLabelled }) {
  const width = Math.max(container.clientWidth, 260);
  const svg = shape("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    role: "img",
    "aria-label": `${bars.length} bars, in ${unit}`,
  });
  const sum = (parts) => parts.reduce((all, part) => all + part, 0);
  const sums = bars.map((bar) => sum(bar.parts));
  const most = Math.max(...sums, 0);
  if (most === 0) {
    svg.append(shape("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "nothing yet"));
    container.replaceChildren(svg);
    return;
  }
  const top = rounded(most);
  const floor = HEIGHT - BOTTOM;
  const up = (value) => ((floor - TOP) * value) / top;
  for (const share of [0, 0.5, 1]) {
    const y = floor - up(top * share);
    svg.append(shape("line", { class: "axis", x1: LEFT, x2: width, y1: y, y2: y }));
    const label = number.format(top * share);
    svg.append(shape("text", { x: LEFT - 5, y: y + 4, "text-anchor": "end" }, label));
  }
  const step = (width - LEFT) / bars.length;
  const gap = step > 2 * NARROWEST ? step / 5 : 0;
  bars.forEach((bar, at) => {
    const x = LEFT + at * step + gap / 2;
    const group = shape("g", { class: "bar" });
    const parts = bar.parts.map((part, of) => [part, names[of]]).filter(([part]) => part > 0);
    const said = parts.map(([part, name]) => `${name ? `${name} ` : ""}${number.format(part)}`);
    group.append(shape("title", {}, `${bar.label}: ${said.join(", ") || 0} ${unit}`));
    let below = 0;
    bar.parts.forEach((part, of) => {
      if (part > 0) {
        const y = floor - up(below + part);
        const rect = { x, y, width: step - gap, height: up(part), class: `series-${of}` };
        group.append(shape("rect", rect));
      }
      below += part;
    });
    svg.append(group);
    if (isLabelled(at, bars.length, step)) {
      const middle = x + (step - gap) / 2;
      // The last one would reach beyond the edge where its bar is narrow.
      const anchor = at === bars.length - 1 && step < 60 ? "end" : "middle";
      const end = anchor === "end" ? x + step - gap : middle;
      svg.append(shape("text", { x: end, y: HEIGHT - 4, "text-anchor": anchor }, bar.label));
    }
  });
  const drawn = [svg];
  if (names.length > 1) {
    drawn.push(legend(names));
  }
  container.replaceChildren(...drawn);
}

function legend(names) {
  const list = document.createElement("ul");
  list.className = "legend";
  names.forEach((name, of) => {
    const item = document.createElement("li");
    const key = shape("svg", { viewBox: "0 0 1 1", "aria-hidden": "true" });
    key.append(shape("rect", { width: 1, height: 1, class: `series-${of}` }));
    item.append(key, name);
    list.append(item);
  });
  return list;
}

// As many bars as there is room for: several points become one.
export function grouped(points, width) {
  const room = Math.max(Math.floor((Math.max(width, 260) - LEFT) / NARROWEST), 1);
  const size = Math.ceil(points.length / room);
  const groups = [];
  for (let at = 0; at < points.length; at += size) {
    groups.push(points.slice(at, at + size));
  }
  return groups;
}

// Curves over time on a canvas.
import { short } from "./dom.js";

const PAD = { left: 6, right: 6, top: 8, bottom: 18 };
const TIMES = [10, 30, 60, 120, 300]; // seconds between two marks on the time axis

/** Return the colours of the page's theme. */
function colours(canvas) {
  const style = getComputedStyle(canvas);
  const get = (name) => style.getPropertyValue(name).trim();
  return { grid: get("--rim"), soft: get("--soft"), curve: get("--curve"), second: get("--second"), font: style.fontFamily, size: parseFloat(style.fontSize) };
}

/** Fit the canvas to its place and the screen's pixels; return its size in CSS pixels. */
function fit(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Keep the lowest and highest point of each pixel column: a curve needs no more. */
export function thinned(points, from, to, width) {
  const kept = [];
  const column = (to - from) / Math.max(1, width);
  let low = null, high = null, at = -1;
  const flush = () => {
    if (!low) return;
    if (low === high) kept.push(low);
    else kept.push(...(low[0] <= high[0] ? [low, high] : [high, low]));
  };
  let before = null;
  for (const point of points) {
    if (point[0] < from) {
      before = point;
      continue;
    }
    const here = Math.floor((point[0] - from) / column);
    if (here !== at) {
      flush();
      at = here;
      low = high = point;
    } else {
      if (point[1] < low[1]) low = point;
      if (point[1] > high[1]) high = point;
    }
  }
  flush();
  return before ? [before, ...kept] : kept;
}

/** Draw curves: each has points [time, value], a bottom, a top and a colour's name. */
export function draw(canvas, curves, { now, span, gap, step = false }) {
  const { context, width, height } = fit(canvas);
  if (width < 10) return;
  const colour = colours(canvas);
  const size = Math.max(10, colour.size * 0.75);
  const left = PAD.left, right = width - PAD.right, top = PAD.top, bottom = height - PAD.bottom;
  const x = (time) => right - (now - time) / span * (right - left);
  context.font = `${size}px ${colour.font}`;
  context.lineWidth = 1;
  context.strokeStyle = colour.grid;
  context.fillStyle = colour.soft;
  context.textBaseline = "bottom";
  const every = TIMES.find((seconds) => span / seconds <= Math.max(2, width / 110)) ?? TIMES.at(-1);
  for (let back = 0; back <= span; back += every) {
    const at = Math.round(x(now - back)) + 0.5;
    context.beginPath();
    context.moveTo(at, top);
    context.lineTo(at, bottom);
    context.stroke();
    context.textAlign = back === 0 ? "right" : back >= span ? "left" : "center";
    context.fillText(back === 0 ? "now" : back % 60 ? `−${back} s` : `−${back / 60} min`, at, height - 1);
  }
  for (const y of [top, bottom]) {
    context.beginPath();
    context.moveTo(left, y + 0.5);
    context.lineTo(right, y + 0.5);
    context.stroke();
  }
  context.save();
  context.beginPath();
  context.rect(left, 0, right - left, height);
  context.clip();
  for (const curve of curves) {
    const range = curve.top - curve.bottom || 1;
    const y = (value) => bottom - (value - curve.bottom) / range * (bottom - top);
    const points = thinned(curve.points, now - span, now, right - left);
    context.strokeStyle = colour[curve.colour];
    context.fillStyle = colour[curve.colour];
    context.lineWidth = 1.6;
    context.lineJoin = "round";
    context.beginPath();
    let former = null;
    for (const [time, value] of points) {
      if (former && time - former[0] <= gap) {
        if (step) context.lineTo(x(time), y(former[1]));
        context.lineTo(x(time), y(value));
      } else {
        context.moveTo(x(time), y(value));
      }
      former = [time, value];
    }
    context.stroke();
    if (former) {
      context.beginPath();
      context.arc(x(former[0]), y(former[1]), 2.5, 0, 7);
      context.fill();
    }
  }
  context.restore();
  // The scale is written over the curves, at the left for the first and at the right for the second.
  curves.forEach((curve, place) => {
    if (!curve.points.length) return;
    context.textAlign = place ? "right" : "left";
    const at = place ? right - 3 : left + 3;
    const write = (text, y, baseline) => {
      context.textBaseline = baseline;
      context.lineWidth = 3;
      context.strokeStyle = getComputedStyle(canvas).getPropertyValue("--paper").trim();
      context.strokeText(text, at, y);
      context.fillStyle = curves.length > 1 ? colour[curve.colour] : colour.soft;
      context.fillText(text, at, y);
    };
    const unit = curve.unit ?? "";
    write(curve.label?.(curve.top) ?? `${short(curve.top)}${unit}`, top + 2, "top");
    if (!curve.zero) write(curve.label?.(curve.bottom) ?? `${short(curve.bottom)}${unit}`, bottom - 2, "bottom");
  });
}

/** Round a scale's top up to a number that reads well. */
export function ceiling(value) {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((factor) => factor * unit).find((top) => top >= value * 0.9999);
}

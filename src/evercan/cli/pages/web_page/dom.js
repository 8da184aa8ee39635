// Helpers: elements, texts that change only if they differ, and numbers for people.

/** Create an element with attributes and children. Text is never read as HTML. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Set a text if it differs from the last one. */
export function say(element, text) {
  if (element.said !== text) {
    element.said = text;
    element.textContent = text;
  }
}

/** Set an attribute if it differs; null removes it. */
export function mark(element, name, value) {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

/** Make an element's children those that are wanted, in order, and move no other. */
export function arrange(parent, wanted) {
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  wanted.forEach((child, place) => {
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
  });
}

export const SIGNS = { ok: "●", warn: "▲", fail: "✖", rest: "○" };

export function count(number) {
  return number === null || number === undefined ? "–" : number.toLocaleString("en");
}

/** Format frames per second. */
export function rate(number) {
  if (number === null || number === undefined) return "–";
  if (number < 0.05) return "0";
  if (number < 9.95) return number.toFixed(1);
  if (number < 9999.5) return Math.round(number).toLocaleString("en");
  return number < 999500 ? `${(number / 1e3).toFixed(number < 99950 ? 1 : 0)}k` : `${(number / 1e6).toFixed(1)}M`;
}

export function percent(part) {
  return part >= 0.0995 ? `${Math.round(100 * part)} %` : `${(100 * part).toFixed(1)} %`;
}

/** Format seconds as milliseconds. */
export function milliseconds(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const value = seconds * 1000;
  return `${value >= 9999.5 ? Math.round(value).toLocaleString("en") : value >= 99.95 ? value.toFixed(0) : value.toFixed(value >= 9.995 ? 1 : 2)} ms`;
}

/** Format a value on an axis. */
export function short(value) {
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return value.toExponential(1);
  return Number(value.toPrecision(4)).toLocaleString("en");
}

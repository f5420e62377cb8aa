// From the API's numbers to words and tables. Everything goes into the page as text, never as markup.

export const number = value => {
  const v = Number(value);
  if (v >= 1e9) return (v / 1e9).toFixed(2) + 'G';
  if (v >= 1e6) return (v / 1e6).toFixed(2) + 'M';
  if (v >= 1e4) return (v / 1e3).toFixed(1) + 'k';
  return v >= 100 || Number.isInteger(v) ? String(Math.round(v)) : v.toFixed(1);
};
export const bytes = value => {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let v = Number(value), i = 0;
  while (v >= 1024 && i < units.length - 1) { v /= 1024; ++i; }
  return (i ? v.toFixed(1) : v) + ' ' + units[i];
};
export const micros = us => {
  if (!(us > 0)) return '–';
  if (us < 1000) return Math.round(us) + ' µs';
  if (us < 1e6) return (us / 1000).toFixed(us < 1e4 ? 2 : 0) + ' ms';
  return (us / 1e6).toFixed(2) + ' s';
};
export const millis = ms => ms < 0 ? '–' : ms < 1000 ? Math.round(ms) + ' ms' : (ms / 1000).toFixed(ms < 1e4 ? 2 : 1) + ' s';
export const age = ms => {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return s + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min';
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
  return Math.floor(s / 86400) + ' d ' + Math.floor(s % 86400 / 3600) + ' h';
};
export const clock = ms => {
  const date = new Date(ms), two = n => String(n).padStart(2, '0');
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const today = new Date().toDateString() === date.toDateString();
  return today ? time : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
};

export function setText(node, text) {
  const value = String(text);
  if (node.textContent !== value) node.textContent = value;
}
export function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

// One row per item, found again by its key: only what changed is touched, so focus and selection stay.
// A cell is {text, cls, badge}, or {buttons, cls} with a list of {text, label, act}.
export function fill(table, items, keyOf, cellsOf, rowClass, empty) {
  const body = table.tBodies[0];
  const known = new Map(Array.from(body.rows, row => [row.dataset.key, row]));
  const columns = Math.max(...Array.from(table.tHead.rows, row => row.cells.length));
  let place = body.firstChild;
  if (!items.length) {
    items = [null];
    keyOf = () => 'empty';
    cellsOf = () => [{text: empty, cls: 'empty', span: columns}];
    rowClass = null;
  }
  for (const item of items) {
    const key = String(keyOf(item));
    let row = known.get(key);
    known.delete(key);
    if (!row) {
      row = document.createElement('tr');
      row.dataset.key = key;
    }
    if (row !== place) body.insertBefore(row, place); else place = place.nextSibling;
    setClass(row, rowClass ? rowClass(item) : '');
    cellsOf(item).forEach((cell, i) => fillCell(row, i, cell));
  }
  for (const row of known.values()) row.remove();
}

function fillCell(row, i, cell) {
  const td = row.cells[i] || row.insertCell();
  setClass(td, cell.cls || '');
  if (cell.span && td.colSpan !== cell.span) td.colSpan = cell.span;
  if (cell.title !== undefined && td.title !== cell.title) td.title = cell.title;
  if (cell.badge) {
    let badge = td.querySelector('.badge');
    if (!badge) { td.textContent = ''; badge = td.appendChild(document.createElement('span')); }
    setClass(badge, 'badge ' + cell.badge);
    setText(badge, cell.text);
  } else if (cell.buttons) {
    while (td.children.length > cell.buttons.length) td.lastChild.remove();
    cell.buttons.forEach((wanted, n) => {
      const button = td.children[n] || td.appendChild(document.createElement('button'));
      button.type = 'button';
      setText(button, wanted.text);
      if (button.getAttribute('aria-label') !== wanted.label) button.setAttribute('aria-label', wanted.label);
      button.onclick = wanted.act;
    });
  } else {
    setText(td, cell.text === undefined ? '' : cell.text);
  }
}

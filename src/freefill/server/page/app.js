// @ts-check
/** The page: its buttons and keys, and what they call. */

import { Compare } from './compare.js';
import { el } from './elements.js';
import * as keyboard from './keyboard.js';
import { COLOUR } from './mask.js';
import { say, show } from './messages.js';
import * as opening from './opening.js';
import { about, givenPhoto, photosGoTo, setToken } from './server.js';
import { Sliders } from './sliders.js';
import { Studio } from './studio.js';
import { Tools } from './tools.js';
import { View } from './view.js';

/** @typedef {import('./types.js').Tool} Tool */

const stage = el('stage', HTMLElement);
const view = new View(stage, el('photo', HTMLCanvasElement), el('over', HTMLCanvasElement), el('guide', HTMLCanvasElement));
const compare = new Compare(view, el('line', HTMLElement));
const studio = new Studio(view, { changed, progress, show });
const tools = new Tools(view, el('ring', HTMLElement), (op) => {
  const words = { stroke: op.erase ? 'Erase' : 'Stroke', box: 'Rectangle', lasso: 'Lasso' };
  if (op.kind === 'stroke' && op.layer) studio.guide(op, op.layer);
  else studio.add(op, words[op.kind]);
  if (el('auto', HTMLInputElement).checked) void studio.fill();
});
tools.pick = async (/** @type {number} */ x, /** @type {number} */ y, /** @type {boolean} */ erase) => {
  const found = await studio.pick(x, y, erase);
  if (found) {
    say('Marked. Enter fills.');
    if (el('auto', HTMLInputElement).checked) void studio.fill();
  }
  return found;
};
const sliders = new Sliders(tools);

const button = (/** @type {string} */ id) => el(id, HTMLButtonElement);
const photoInput = el('photo-file', HTMLInputElement);
const maskInput = el('mask-file', HTMLInputElement);

/** @param {File} file */
async function open(file) {
  if (studio.dirty && !confirm('Open another photo? What is not saved of this one is lost.')) return;
  compare.setSplit(false);
  await studio.open(file);
  if (studio.state && studio.name === file.name) {
    sliders.fitTo(Math.max(view.width, view.height));
    stage.focus({ preventScroll: true });
    say(`${file.name} is open, ${view.width} by ${view.height} pixels.`);
  }
}

/** Whether the network that fills next follows a sketch. */
let sketches = false;
/** Whether things can be picked by a click. */
let picks = true;
const GUIDING = new Set(/** @type {Tool[]} */ (['pencil', 'paint']));

/** @param {Tool} tool */
function choose(tool) {
  if (!tools.enabled || (GUIDING.has(tool) && !sketches) || (tool === 'pick' && !picks)) return;
  tools.choose(tool);
  el('colour-option', HTMLElement).hidden = tool !== 'paint';
  el('hardness-option', HTMLElement).hidden = tool === 'paint';
  for (const one of document.querySelectorAll('[data-tool]')) {
    one.setAttribute('aria-pressed', String(one.getAttribute('data-tool') === tool));
  }
  sliders.update();
}

/** Bring every button up to date with the document. */
function changed() {
  const { history, state } = studio;
  const busy = studio.work !== null;
  document.body.classList.toggle('open', state !== null);
  tools.enabled = state !== null;
  for (const one of document.querySelectorAll('[data-needs]')) {
    const needs = one.getAttribute('data-needs');
    const drawn = { patch: !!state?.patch, mask: !!state?.ops.length, guide: !!(state?.lines.length || state?.colours.length) };
    const has = needs === 'sketch' ? sketches && state !== null : drawn[/** @type {keyof typeof drawn} */ (needs)] ?? state !== null;
    if (one instanceof HTMLButtonElement || one instanceof HTMLInputElement) one.disabled = !has;
  }
  enable('undo', history?.undoes ?? null, 'Undo');
  enable('redo', history?.redoes ?? null, 'Redo');
  // The same place, the same size: only what it says changes.
  const fill = button('fill');
  fill.disabled = !busy && !studio.pending;
  fill.classList.toggle('cancel', busy);
  el('fill-label', HTMLElement).textContent = busy ? 'Cancel' : 'Fill';
  button('save').disabled = busy || !studio.filled;
  stage.tabIndex = state ? 0 : -1;
  if (state) {
    const { width, height } = state.base.image;
    el('name', HTMLElement).textContent = studio.name;
    el('size', HTMLElement).textContent = `${width} × ${height}`;
    document.title = `${studio.dirty ? '• ' : ''}${studio.name} – freefill`;
  }
  el('time', HTMLElement).textContent = state?.patch ? `filled in ${state.patch.seconds.toFixed(2)} s` : '';
  button('keep').disabled = busy || !state?.patch;
  tools.tellCursor();
  compare.place();
}

/**
 * @param {string} id
 * @param {string | null} what it would do
 * @param {string} word
 */
function enable(id, what, word) {
  const one = button(id);
  one.disabled = what === null;
  one.title = what === null ? word : `${word}: ${what}`;
}

/**
 * @param {string | null} message
 * @param {number | null} share
 */
function progress(message, share) {
  const bar = el('bar', HTMLProgressElement);
  document.body.classList.toggle('busy', message !== null);
  el('doing', HTMLElement).textContent = message ?? '';
  if (share === null) bar.removeAttribute('value');
  else bar.value = share;
}

view.onchange = () => {
  el('zoom', HTMLElement).textContent = `${Math.round(100 * view.scale)} %`;
  compare.place();
};

const act = {
  open: () => photoInput.click(),
  fill: () => void (studio.work ? studio.cancel() : studio.fill()),
  save: () => void studio.save(''),
  undo: () => step('undo'),
  redo: () => step('redo'),
  invert: () => studio.add({ kind: 'invert' }, 'Invert mask'),
  clear: () => studio.add({ kind: 'clear' }, 'Clear mask'),
  import: () => maskInput.click(),
  export: () => void studio.exportMask(),
  keep: () => void studio.keep(),
  fit: () => view.fit(),
  whole: () => view.zoom(1),
  nearer: () => view.zoom(view.scale * 1.25),
  farther: () => view.zoom(view.scale / 1.25),
  help: () => {
    const help = el('help', HTMLDialogElement);
    help.showModal();
    // The button at its end has the focus, and on a small screen would take the view there.
    help.scrollTop = 0;
  },
  theme: () => document.dispatchEvent(new Event('theme')),
  split: () => {
    if (!studio.state?.patch) return;
    compare.setSplit(!compare.split);
    button('split').setAttribute('aria-pressed', String(compare.split));
  },
  mask: () => {
    view.showMask = !view.showMask;
    button('see').setAttribute('aria-checked', String(view.showMask));
    view.invalidate(false);
  },
  grow: () => el('grow', HTMLDialogElement).showModal(),
};

/** @param {'undo' | 'redo'} way */
function step(way) {
  const label = way === 'undo' ? studio.history?.undoes : studio.history?.redoes;
  if (!label) return;
  studio[way]();
  say(`${way === 'undo' ? 'Undone' : 'Done again'}: ${label}`);
}

/**
 * What needs a photo is left alone without one.
 *
 * @param {() => void} action
 */
const withPhoto = (action) => () => {
  if (studio.state) action();
};

for (const id of ['open', 'fill', 'save', 'undo', 'redo', 'invert', 'clear', 'import', 'export', 'keep',
  'fit', 'whole', 'nearer', 'farther', 'theme', 'split'] /** @type {(keyof typeof act)[]} */) {
  button(id).addEventListener('click', act[/** @type {keyof typeof act} */ (id)]);
}
button('welcome-open').addEventListener('click', act.open);
button('help-open').addEventListener('click', act.help);
button('see').addEventListener('click', act.mask);
button('grow-open').addEventListener('click', act.grow);
button('clear-sketch').addEventListener('click', () => studio.clearGuides());
const colour = el('colour', HTMLInputElement);
colour.addEventListener('input', () => (tools.colour = colour.value));
for (const one of document.querySelectorAll('[data-tool]')) {
  one.addEventListener('click', () => choose(/** @type {Tool} */ (one.getAttribute('data-tool'))));
}
for (const one of document.querySelectorAll('[data-format]')) {
  one.addEventListener('click', () => void studio.save(one.getAttribute('data-format') ?? ''));
}
for (const menu of document.querySelectorAll('[popover]')) {
  if (menu instanceof HTMLElement) menu.addEventListener('click', () => menu.hidePopover());
}
el('grow-form', HTMLFormElement).addEventListener('submit', (event) => {
  const submitter = event.submitter;
  if (submitter instanceof HTMLButtonElement && submitter.value === 'grow') {
    studio.grow(el('radius', HTMLInputElement).valueAsNumber);
  }
});
const hold = button('compare');
const holding = (/** @type {boolean} */ held) => () => compare.hold(held && !!studio.state?.patch);
hold.addEventListener('pointerdown', holding(true));
for (const end of ['pointerup', 'pointercancel', 'pointerleave', 'blur']) hold.addEventListener(end, holding(false));
hold.addEventListener('keydown', (event) => {
  if (event.key === ' ' || event.key === 'Enter') holding(true)();
});
hold.addEventListener('keyup', holding(false));

keyboard.listen(view, tools, {
  b: () => choose('brush'), e: () => choose('eraser'), r: () => choose('box'), l: () => choose('lasso'),
  w: () => choose('pick'), Enter: () => tools.tool === 'pick' && void studio.fill(),
  h: () => choose('hand'), d: () => choose('pencil'), p: () => choose('paint'), '[': () => sliders.step(-1), ']': () => sliders.step(1),
  '{': () => sliders.harden(-1), '}': () => sliders.harden(1),
  'Shift+[': () => sliders.harden(-1), 'Shift+]': () => sliders.harden(1),
  f: () => void studio.fill(), i: withPhoto(act.invert), m: withPhoto(act.mask), g: withPhoto(act.grow), s: act.split,
  k: withPhoto(act.keep), '0': withPhoto(act.fit), '1': withPhoto(act.whole), '+': withPhoto(act.nearer),
  '=': withPhoto(act.nearer), '-': withPhoto(act.farther), c: () => holding(true)(),
  'Ctrl+z': act.undo, 'Shift+Ctrl+z': act.redo, 'Ctrl+y': act.redo, 'Ctrl+o': act.open,
  'Ctrl+s': () => !button('save').disabled && act.save(), 'Ctrl+Enter': () => void studio.fill(), '?': act.help,
  Delete: withPhoto(act.clear), Backspace: withPhoto(act.clear),
  Escape: () => void (tools.cancel() || studio.cancel()),
}, say);
document.addEventListener('keyup', (event) => keyboard.letter(event) === 'c' && holding(false)());
window.addEventListener('blur', holding(false));
opening.listen({
  photo: open,
  mask: (file, fitting) => studio.importMask(file, fitting),
  opened: () => (studio.state ? studio.name : null),
  left: (names) => show(`Only one photo is open at a time: ${names.join(', ')} was left alone.`),
});
opening.listenTo(photoInput, (file) => void open(file));
opening.listenTo(maskInput, (file) => void studio.importMask(file));
window.addEventListener('beforeunload', (event) => {
  if (studio.dirty) event.preventDefault();
});

/**
 * @param {string} selector
 * @param {boolean} away
 */
function hide(selector, away) {
  for (const one of document.querySelectorAll(selector)) if (one instanceof HTMLElement) one.hidden = away;
}

/**
 * Say why a tool is of no use.
 *
 * @param {Tool} tool
 */
function needless(tool) {
  const one = document.querySelector(`[data-tool="${tool}"]`);
  if (one instanceof HTMLButtonElement) one.title = `${one.ariaLabel}: the server's weights do not follow a sketch`;
}

/**
 * Let a person choose between networks, where there are several.
 *
 * @param {{name: string, sketch: boolean, terms: string}[]} models the default first
 */
function offer(models) {
  const menu = el('model', HTMLSelectElement);
  const take = () => {
    const model = models.find((one) => one.name === menu.value) ?? models[0];
    sketches = model.sketch;
    if (models.length > 1) studio.model = model.name;
    if (!sketches && GUIDING.has(tools.tool)) choose('brush');
    changed();
  };
  menu.replaceChildren(...models.map(({ name, terms }) => Object.assign(new Option(name), { title: terms })));
  el('model-option', HTMLElement).hidden = models.length < 2;
  menu.addEventListener('change', take);
  take();
}

async function start() {
  document.documentElement.style.setProperty('--mask', COLOUR);
  const asked = new URLSearchParams(location.hash.slice(1));
  const token = asked.get('token');
  try {
    if (token) sessionStorage.setItem('token', token);
    setToken(token ?? sessionStorage.getItem('token') ?? '');
  } catch {
    setToken(token ?? '');
  }
  // Neither a bookmark nor a screenshot is to carry the token.
  if (token) history.replaceState(null, '', asked.has('photo') ? '#photo' : location.pathname);
  const elsewhere = photosGoTo();
  if (elsewhere) el('where', HTMLElement).textContent = `Photos go to ${elsewhere}, where freefill runs, and nowhere else.`;
  choose('brush');
  changed();
  try {
    const { limit, models, pick, formats } = await about();
    studio.limit = limit;
    offer(models);
    picks = pick;
    hide('[data-tool="pick"], [data-about="pick"]', !pick);
    for (const one of document.querySelectorAll('[data-format]')) {
      hide(`[data-format="${one.getAttribute('data-format')}"]`, formats?.includes(one.getAttribute('data-format') ?? '') === false);
    }
    if (!models.some((model) => model.sketch)) for (const tool of GUIDING) needless(tool);
    changed();
    if (asked.has('photo')) await open(await givenPhoto());
  } catch (error) {
    studio.fail(error, 'The server cannot be asked');
  }
  document.body.classList.add('ready');
  performance.mark('ready');
}

// For the browser's console, and for tests.
Object.assign(globalThis, { freefill: { view, studio, tools } });

void start();

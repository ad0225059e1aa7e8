// @ts-check
/**
 * The page without a mouse: shortcuts everywhere, and a brush that arrow keys move on the stage.
 *
 * On the stage, Enter puts the pen down and lifts it again; for a box and a lasso it sets the first
 * corner and the last; it picks the thing there, and pressed once more fills. Letters work wherever nothing is being typed.
 */

/** @typedef {import('./tools.js').Tools} Tools */
/** @typedef {import('./view.js').View} View */

const STEP = 10;
const FAR = 50;

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** @type {Record<string, string>} */
const PLACES = { BracketLeft: '[', BracketRight: ']', Minus: '-', Equal: '=' };

/**
 * @param {View} view
 * @param {Tools} tools
 * @param {Record<string, () => void>} actions by key: 'b', 'Ctrl+z', 'Shift+Ctrl+z', ...
 * @param {(text: string) => void} say to those who do not see it
 */
export function listen(view, tools, actions, say) {
  const { classList } = document.body;
  // The photo has the keyboard as soon as it is opened; only who uses it needs to see that.
  document.addEventListener('pointerdown', () => classList.remove('keys'), true);
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Tab' || event.key in ARROWS) classList.add('keys');
    if (event.defaultPrevented || document.querySelector('dialog[open]')) return;
    const typing = isTyping(event.target);
    if (event.key === ' ' && !typing && !isPressable(event.target)) {
      event.preventDefault();
      if (!tools.space) {
        tools.space = true;
        tools.tellCursor();
      }
      return;
    }
    if (event.target === view.stage && onStage(event, view, tools, say)) {
      event.preventDefault();
      return;
    }
    // A button that has the keyboard is what Enter presses.
    if (event.key === 'Enter' && !event.ctrlKey && isPressable(event.target)) return;
    const action = actions[name(event)];
    const alone = !held(event) && !event.altKey;
    if (!action || (typing && alone && event.key !== 'Escape')) return;
    event.preventDefault();
    action();
  });
  const released = () => {
    tools.space = false;
    tools.tellCursor();
  };
  document.addEventListener('keyup', (event) => event.key === ' ' && released());
  // A window that loses the keyboard never hears that the key went up.
  window.addEventListener('blur', released);
}

/** @param {KeyboardEvent} event */
function name(event) {
  const key = letter(event);
  // Of other signs Shift makes another one, which has a name of its own.
  const shift = event.shiftKey && (/^[a-z[\]]$/.test(key) || key.length > 1) ? 'Shift+' : '';
  const control = held(event) ? 'Ctrl+' : '';
  return shift + control + key;
}

/**
 * Whether Ctrl or Command is held; the AltGr that writes a German bracket is Ctrl to some browsers.
 *
 * @param {KeyboardEvent} event
 */
function held(event) {
  return (event.ctrlKey || event.metaKey) && !event.getModifierState('AltGraph');
}

/**
 * Name a key by what it writes; where that is no Latin letter (Cyrillic, Greek) and no
 * digit of ours (Arabic, Devanagari), by its place.
 *
 * @param {KeyboardEvent} event
 */
export function letter(event) {
  if (event.key.length !== 1) return event.key;
  const written = event.key.toLowerCase();
  // Latin keyboards of another order mean what is written on their keys.
  if (/[\p{Script=Latin}\p{ASCII}]/u.test(written)) return written;
  return PLACES[event.code] ?? /^(?:Key|Digit)([A-Z0-9])$/.exec(event.code)?.[1].toLowerCase() ?? written;
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  // A slider that was moved has the keyboard, and has no use for letters.
  return target instanceof HTMLInputElement && !['checkbox', 'range', 'color'].includes(target.type);
}

/** @param {EventTarget | null} target */
function isPressable(target) {
  return target instanceof HTMLElement && target.closest('button, a, summary, label, input') !== null;
}

/**
 * @param {KeyboardEvent} event
 * @param {View} view
 * @param {Tools} tools
 * @param {(text: string) => void} say
 * @returns {boolean} whether the key meant something here
 */
function onStage(event, view, tools, say) {
  if (!tools.enabled || event.ctrlKey || event.metaKey) return false;
  const arrow = ARROWS[event.key];
  if (arrow) {
    if (tools.ring.hidden && !view.live) tools.cursor = inSight(view, tools.cursor);
    // One pixel of the photo with Alt; else as far on the screen at every zoom.
    const step = event.altKey ? 1 : ((event.shiftKey ? FAR : STEP) * view.ratio) / view.scale;
    const x = Math.min(view.width, Math.max(0, tools.cursor[0] + arrow[0] * step));
    const y = Math.min(view.height, Math.max(0, tools.cursor[1] + arrow[1] * step));
    tools.cursor = [x, y];
    tools.settled = false;
    follow(view, x, y);
    if (view.live) tools.extend(x, y);
    tools.showRing();
    say(`${Math.round(x)}, ${Math.round(y)}`);
    return true;
  }
  if (event.key === 'Enter' && tools.tool === 'pick') {
    // Of what is picked already, Enter is the fill.
    if (tools.settled) return false;
    tools.cursor = inSight(view, tools.cursor);
    tools.begin(...tools.cursor, event.altKey);
    tools.finish();
    return true;
  }
  if (event.key === 'Enter' && tools.tool !== 'hand') {
    if (view.live) {
      tools.finish();
      say('Pen up');
    } else {
      tools.cursor = inSight(view, tools.cursor);
      tools.begin(...tools.cursor, event.altKey);
      tools.showRing();
      say(`Pen down at ${Math.round(tools.cursor[0])}, ${Math.round(tools.cursor[1])}`);
    }
    return true;
  }
  return false;
}

/**
 * @param {View} view
 * @param {[number, number]} cursor
 * @returns {[number, number]} the same, or the middle of what is seen
 */
function inSight(view, [x, y]) {
  const inside = x > 0 && y > 0 && x < view.width && y < view.height;
  const [left, top] = [view.x + x * view.scale, view.y + y * view.scale];
  const seen = left >= 0 && top >= 0 && left < view.photo.width && top < view.photo.height;
  if (inside && seen) return [x, y];
  const middle = (/** @type {number} */ side, /** @type {number} */ from, /** @type {number} */ most) =>
    Math.min(most, Math.max(0, (side / 2 - from) / view.scale));
  return [middle(view.photo.width, view.x, view.width), middle(view.photo.height, view.y, view.height)];
}

/**
 * Bring a place into sight.
 *
 * @param {View} view
 * @param {number} x
 * @param {number} y
 */
function follow(view, x, y) {
  const beyond = (/** @type {number} */ at, /** @type {number} */ side) => Math.max(0, -at) - Math.max(0, at - side);
  const right = beyond(view.x + x * view.scale, view.photo.width);
  const down = beyond(view.y + y * view.scale, view.photo.height);
  if (right || down) view.move(right, down);
}

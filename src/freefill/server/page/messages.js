// @ts-check
/** What the page says: short lines that go by themselves, errors that stay until they are read. */

import { el } from './elements.js';

const STAY = 5000;

/**
 * @param {string} text
 * @param {'note' | 'doubt' | 'error'} [kind] a doubt stays until it is read, as an error does
 * @returns {() => void} takes it away again
 */
export function show(text, kind = 'note') {
  const box = document.createElement('div');
  box.className = `message ${kind}`;
  // The lists are live regions of their own: what is added is read out.
  box.append(Object.assign(document.createElement('p'), { textContent: text }));
  const close = Object.assign(document.createElement('button'), { type: 'button', textContent: '×' });
  close.setAttribute('aria-label', 'Dismiss');
  const gone = () => box.remove();
  close.addEventListener('click', gone);
  box.append(close);
  const list = el(kind === 'error' ? 'errors' : 'notes', HTMLElement);
  // The same line twice says nothing new.
  for (const other of list.children) if (other.firstChild?.textContent === text) other.remove();
  list.append(box);
  if (kind === 'note') setTimeout(gone, STAY);
  return gone;
}

/** @param {string} text for those who do not see the stage */
export function say(text) {
  el('spoken', HTMLElement).textContent = text;
}

// @ts-check
/** Undo and redo: a list of states that are never changed, and a place in it. */

/** @typedef {import('./types.js').State} State */

const MOST = 500;

export class History {
  /** @param {State} first */
  constructor(first) {
    /** @type {{state: State, label: string}[]} */
    this.entries = [{ state: first, label: 'Open' }];
    this.place = 0;
  }

  get now() {
    return this.entries[this.place].state;
  }

  /** What undo would take back, or null. */
  get undoes() {
    return this.place > 0 ? this.entries[this.place].label : null;
  }

  /** What redo would do again, or null. */
  get redoes() {
    return this.place + 1 < this.entries.length ? this.entries[this.place + 1].label : null;
  }

  /**
   * @param {Partial<State>} change
   * @param {string} label what was done, for people
   */
  push(change, label) {
    const state = { ...this.now, ...change };
    this.entries.splice(this.place + 1);
    this.entries.push({ state, label });
    // The first entry goes when there are too many: memory stays bounded, the newest stay.
    if (this.entries.length > MOST) this.entries.shift();
    this.place = this.entries.length - 1;
  }

  undo() {
    if (this.place > 0) this.place -= 1;
  }

  redo() {
    if (this.place + 1 < this.entries.length) this.place += 1;
  }
}

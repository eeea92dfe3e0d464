/** Something whose changes others want to know of. */
export class Emitter {
  #listeners = new Map();

  /**
   * @param {string} name
   * @param {(data: any) => void} listener
   * @returns {() => void} ends it
   */
  on(name, listener) {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set.add(listener));
    return () => set.delete(listener);
  }

  emit(name, data) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) listener(data);
  }
}

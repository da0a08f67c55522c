// What is held, and what to send next. No part of the page is touched here.

const DIRECTIONS = {
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
  KeyA: "left", KeyD: "right", KeyW: "up", KeyS: "down", Space: "up", Period: "none",
};
const HOLD = 180; // milliseconds after which a press counts as held; a shorter tap plays exactly one frame

// The keys and pad buttons now held, as one intention of the controller: "left", "up-right", "none" ...
class Held {
  constructor(known) {
    this.known = new Set(known);
    this.pressed = new Map(); // from a key's code or a pointer to { key, since }, in the order of pressing
  }

  press(source, key) {
    if (!this.pressed.has(source)) this.pressed.set(source, { key, since: performance.now() });
  }

  release(source) {
    this.pressed.delete(source);
  }

  clear() {
    this.pressed.clear();
  }

  // Of opposite directions the newer one counts; of a diagonal that the world does not know, its newer direction.
  // "#3" is latent action 3 itself.
  get intention() {
    const keys = [...this.pressed.values()].map(({ key }) => key).reverse();
    if (keys[0]?.startsWith("#")) return keys[0];
    const parts = keys.flatMap((key) => key.split("-"));
    const vertical = parts.find((part) => part === "up" || part === "down");
    const sideways = parts.find((part) => part === "left" || part === "right");
    const wanted = [vertical && sideways ? `${vertical}-${sideways}` : null, ...keys, ...parts];
    return wanted.find((key) => this.known.has(key)) ?? null;
  }

  get lasts() {
    const now = performance.now();
    return [...this.pressed.values()].some(({ since }) => now - since >= HOLD);
  }
}

// One command is under way at a time and at most one waits, so a held key plays as fast as the world does (or as
// the speed limit allows) and nothing is left to play when it is let go.
class Pump {
  constructor({ send, next, pace }) {
    Object.assign(this, { send, next, pace }); // next() gives a command to repeat, or null; pace() the least interval
    this.underWay = null; // { id, sent, begun }
    this.waiting = null;
    this.timer = null;
    this.sentAt = -Infinity;
    this.count = 0;
    this.view = Math.random().toString(36).slice(2);
  }

  request(command) {
    this.waiting = command;
    this.go();
  }

  begun(id) {
    if (this.underWay?.id === id) this.underWay.begun = performance.now();
  }

  answered(id) {
    if (this.underWay?.id !== id) return;
    this.underWay = null;
    this.go();
  }

  go() {
    if (this.underWay) return;
    clearTimeout(this.timer);
    const command = this.waiting ?? this.next();
    if (!command) return;
    const rest = this.sentAt + this.pace() - performance.now();
    if (rest > 0) {
      this.timer = setTimeout(() => this.go(), rest);
      return;
    }
    this.waiting = null;
    this.sentAt = performance.now();
    this.underWay = { id: `${this.view}-${++this.count}`, sent: this.sentAt, begun: null };
    this.send({ ...command, id: this.underWay.id });
  }

  stop() {
    clearTimeout(this.timer);
    this.waiting = null;
  }
}

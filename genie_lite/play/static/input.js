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

// Commands go out one at a time, and at most one waits, so a held key plays as fast as the world does (or as the speed
// limit allows) and nothing is left to play when it is let go. While a key repeats in a quick world, the next command
// is sent before the last one is answered: the kernel need not wait for the browser.
class Pump {
  // next() gives a command to repeat, or null; pace() the least interval between commands in milliseconds; quick()
  // whether the world is quick enough to send ahead.
  constructor({ send, next, pace, quick }) {
    Object.assign(this, { send, next, pace, quick });
    this.sent = []; // { id, at, begun } of the commands without an answer, the oldest first
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
    const command = this.sent.find((one) => one.id === id);
    if (command) command.begun = performance.now();
  }

  answered(id) {
    const place = this.sent.findIndex((one) => one.id === id);
    if (place < 0) return;
    this.sent.splice(0, place + 1);
    this.go();
  }

  go() {
    clearTimeout(this.timer);
    if (this.sent.length > 1) return;
    const ahead = this.sent.length === 1;
    if (ahead && (this.waiting || !this.quick())) return;
    const command = this.waiting ?? this.next();
    if (!command) return;
    const rest = this.sentAt + this.pace() - performance.now();
    if (rest > 0) {
      this.timer = setTimeout(() => this.go(), rest);
      return;
    }
    this.waiting = null;
    this.sentAt = performance.now();
    const id = `${this.view}-${++this.count}`;
    this.sent.push({ id, at: this.sentAt, begun: null });
    this.send({ ...command, id });
    if (!ahead) this.go();
  }

  stop() {
    clearTimeout(this.timer);
    this.waiting = null;
  }
}

// Requests to the server: errors as sentences, binary answers decoded, stale requests dropped.

import { connectionBack, connectionLost } from "./message.js";

/** The largest body that the server accepts, in bytes. */
export const MAX_BODY = 8_000_000;

/** An answer that is an error, with the server's sentence. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0: no answer
   */
  constructor(message, status) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

/** @type {() => void} */
let afterReconnecting = () => {};

/** What to do when the server is back after it was lost. @param {() => void} action */
export function onReconnect(action) {
  afterReconnecting = action;
}

async function waitForServer() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    try {
      const response = await fetch("/api/networks");
      if (response.ok) break;
    } catch {
      // Still away.
    }
  }
  connectionBack();
  afterReconnecting();
}

/** Tells the user that the server is away, and waits for it. */
export function serverLost() {
  if (connectionLost()) waitForServer();
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 */
async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    serverLost();
    throw new ApiError("The server does not answer.", 0);
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  throw new ApiError(answer.error ?? `The server answered with status ${response.status}.`, response.status);
}

/**
 * A path with its query; parameters without a value are left out.
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} parameters
 */
export function url(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function getJson(path, signal) {
  return (await call(path, { signal })).json();
}

/**
 * @param {string} path
 * @param {BodyInit | null} body
 * @param {{signal?: AbortSignal, type?: string}} [options]
 */
export function post(path, body, { signal, type = "application/octet-stream" } = {}) {
  return call(path, { method: "POST", body, signal, headers: body === null ? {} : { "Content-Type": type } });
}

/** @param {string} path @param {unknown} value @returns {Promise<any>} */
export async function postJson(path, value) {
  return (await post(path, JSON.stringify(value), { type: "application/json" })).json();
}

/**
 * @param {string} path
 * @param {BodyInit} body
 * @param {AbortSignal} signal
 * @returns {Promise<{header: any, values: Float32Array}>}
 */
export async function postForValues(path, body, signal) {
  return decode(await (await post(path, body, { signal })).arrayBuffer());
}

/** A length, a JSON header of that length, and 32-bit values until the end. @param {ArrayBuffer} buffer */
function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { header, values: new Float32Array(buffer, 4 + length) };
}

/**
 * Runs one job at a time and always the newest: a job that waits is replaced by the next, and what an aborted
 * job returns is dropped.
 */
export class Latest {
  #sequence = 0;
  #running = false;
  #controller = new AbortController();
  /** @type {((signal: AbortSignal) => Promise<() => void>) | null} */
  #waiting = null;
  #fail;

  /** @param {(error: unknown) => void} fail */
  constructor(fail) {
    this.#fail = fail;
  }

  /**
   * @param {(signal: AbortSignal) => Promise<() => void>} job requests, and returns what is to be painted
   * @param {boolean} [replace] whether the job in flight answers a question that nobody asks any more
   */
  submit(job, replace = false) {
    if (replace) this.cancel();
    this.#waiting = job;
    if (!this.#running) this.#run();
  }

  cancel() {
    this.#sequence += 1;
    this.#waiting = null;
    this.#running = false;
    this.#controller.abort();
    this.#controller = new AbortController();
  }

  async #run() {
    const sequence = this.#sequence;
    while (this.#waiting && sequence === this.#sequence) {
      const job = this.#waiting;
      this.#waiting = null;
      this.#running = true;
      try {
        const paint = await job(this.#controller.signal);
        if (sequence !== this.#sequence) return;
        paint();
      } catch (error) {
        if (sequence !== this.#sequence) return;
        this.#fail(error);
      }
    }
    if (sequence === this.#sequence) this.#running = false;
  }
}

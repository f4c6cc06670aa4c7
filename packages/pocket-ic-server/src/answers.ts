// What goes back to a client: a value as JSON, or {"message"} with a status that says whose fault it was. All refusals
// of this server are `Refusal`s, thrown where they are found and turned into an answer in one place (router.ts).
import type { HttpResponse } from "@atoll/types/http";
import { type Json, writeJson } from "./json.ts";

/** A request that is answered with {"message"}. Never leaves the package. */
export class Refusal extends Error {
  override name = "Refusal";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What this server leaves out, in the words that docs/interop/pocket-ic.md lists. */
export function notSupported(what: string): Refusal {
  return new Refusal(400, `not supported: ${what}`);
}

/** A status and a JSON value: the result of an operation, now or when it is asked for later. */
export interface Outcome {
  readonly status: number;
  readonly body: Json;
}

export function done(body: Json = null): Outcome {
  return { status: 200, body };
}

export function refused(error: unknown): Outcome | undefined {
  return error instanceof Refusal ? { status: error.status, body: { message: error.message } } : undefined;
}

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

export function jsonAnswer({ status, body }: Outcome): HttpResponse {
  return { status, headers: { "content-type": "application/json" }, body: encoder.encode(writeJson(body)) };
}

export function textAnswer(status: number, text: string, contentType = "text/plain; charset=utf-8"): HttpResponse {
  return { status, headers: { "content-type": contentType }, body: encoder.encode(text) };
}

export function emptyAnswer(status: number, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  return { status, headers, body: NOTHING };
}

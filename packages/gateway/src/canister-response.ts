// A canister's answer as an answer of this server: which status codes and headers of it may reach a browser. A header
// that is no header would let a canister speak in the server's name on the same connection, so it fails the whole
// answer; headers about the connection itself are the server's own and are left out. RFC 9110, sections 5 and 7.6.1.
import type { WebResponse } from "@atoll/types/http";
import type { CanisterHttpResponse } from "./http-candid.ts";

const MAX_HEADERS = 200;
const MAX_HEADER_BYTES = 64 * 1024;

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export type Headers = readonly (readonly [string, string])[];

/** Undefined when the answer cannot be sent: the reason is in `unsendable`. */
export function sendable(
  response: CanisterHttpResponse,
): { status: number; headers: Headers } | { unsendable: string } {
  const { status } = response;
  if (status < 200 || status > 599) return { unsendable: `the status code ${status} is not between 200 and 599` };
  if (response.headers.length > MAX_HEADERS) return { unsendable: `it has more than ${MAX_HEADERS} headers` };
  const dropped = namedByConnection(response.headers);
  const headers: [string, string][] = [];
  let size = 0;
  for (const [name, value] of response.headers) {
    if (!TOKEN.test(name)) return { unsendable: "the name of a header has characters that are not allowed" };
    const sent = byteString(value).trim();
    if (!FIELD_VALUE.test(sent))
      return { unsendable: `the value of the header ${name.slice(0, 100)} has control characters` };
    size += name.length + sent.length;
    if (size > MAX_HEADER_BYTES) return { unsendable: `its headers are larger than ${MAX_HEADER_BYTES} bytes` };
    if (!dropped.has(name.toLowerCase())) headers.push([name, sent]);
  }
  return { status, headers };
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

function namedByConnection(headers: Headers): ReadonlySet<string> {
  const names = new Set(HOP_BY_HOP);
  for (const [name, value] of headers) {
    if (name.toLowerCase() !== "connection") continue;
    for (const named of value.split(",")) names.add(named.trim().toLowerCase());
  }
  return names;
}

const encoder = new TextEncoder();

/** Each byte of the UTF-8 form as one character: how header values beyond ASCII travel. */
function byteString(value: string): string {
  if (!/[^\0-\x7f]/.test(value)) return value;
  let bytes = "";
  for (const byte of encoder.encode(value)) bytes += String.fromCharCode(byte);
  return bytes;
}

export function without(headers: Headers, ...names: string[]): Headers {
  return headers.filter(([name]) => !names.includes(name.toLowerCase()));
}

export function headerOf(headers: Headers, name: string): string | undefined {
  return headers.find(([present]) => present.toLowerCase() === name)?.[1];
}

/** An answer whose body is all there. For HEAD the length is the canister's claim about the body that GET would have. */
export function wholeResponse(status: number, headers: Headers, body: Uint8Array, method: string): WebResponse {
  if (method === "HEAD") {
    const claimed = headerOf(headers, "content-length");
    const length = claimed !== undefined && /^\d{1,15}$/.test(claimed) ? claimed : String(body.length);
    return {
      status,
      headers: [...without(headers, "content-length"), ["content-length", length]],
      body: new Uint8Array(0),
    };
  }
  const bodiless = status === 204 || status === 304;
  const own = without(headers, "content-length");
  if (bodiless) return { status, headers: own, body: new Uint8Array(0) };
  return { status, headers: [...own, ["content-length", String(body.length)]], body };
}

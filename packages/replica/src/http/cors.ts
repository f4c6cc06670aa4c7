// Cross-origin rules of the HTTP interface: any web page may talk to any replica, because a request carries its own
// authentication and never a cookie. Interface specification, "HTTPS interface".
import type { HttpResponse } from "@atoll/types/http";

const ANY_ORIGIN = { "access-control-allow-origin": "*" } as const;

export const CBOR_HEADERS: Readonly<Record<string, string>> = { ...ANY_ORIGIN, "content-type": "application/cbor" };
export const JSON_HEADERS: Readonly<Record<string, string>> = { ...ANY_ORIGIN, "content-type": "application/json" };
export const TEXT_HEADERS: Readonly<Record<string, string>> = {
  ...ANY_ORIGIN,
  "content-type": "text/plain; charset=utf-8",
};
export const BARE_HEADERS: Readonly<Record<string, string>> = ANY_ORIGIN;

const PREFLIGHT_HEADERS = {
  ...ANY_ORIGIN,
  "access-control-allow-methods": "GET,POST",
  "access-control-allow-headers": "authorization,accept,content-type",
  "access-control-max-age": "3600",
} as const;

/** Answer to the OPTIONS request that a browser sends ahead. */
export function preflight(): HttpResponse {
  return { status: 200, headers: PREFLIGHT_HEADERS, body: new Uint8Array(0) };
}

// What the headers and the body of an HTTPS outcall may measure, requests and answers alike, in the replica's words
// (canister_http.rs, `validate_http_headers_and_body`). Checklist 4.6.
import {
  type HttpHeader,
  MAX_OUTCALL_HEADER_TEXT_BYTES,
  MAX_OUTCALL_HEADERS,
  MAX_OUTCALL_HEADERS_BYTES,
  MAX_OUTCALL_REQUEST_BYTES,
} from "@atoll/types";
import { utf8Length } from "./management/environment-variables.ts";

/** Undefined when everything is within its bounds. */
export function outcallSizeError(headers: readonly HttpHeader[], bodyBytes: number): string | undefined {
  const exceeds = (what: string, found: number, most: number): string | undefined =>
    found > most ? `${what} ${found} exceeds ${most}` : undefined;
  const longest = (part: keyof HttpHeader): number =>
    headers.reduce((most, header) => Math.max(most, utf8Length(header[part])), 0);
  const some = (part: keyof HttpHeader): string | undefined => {
    const what = `number of bytes to represent some http header ${part}`;
    return exceeds(what, longest(part), MAX_OUTCALL_HEADER_TEXT_BYTES);
  };
  const all = "total number of bytes to represent all http header names and values";
  const bytes = headersBytes(headers);
  return (
    exceeds("number of all http headers", headers.length, MAX_OUTCALL_HEADERS) ??
    some("name") ??
    some("value") ??
    exceeds(all, bytes, MAX_OUTCALL_HEADERS_BYTES) ??
    exceeds(`${all} and http body`, bytes + bodyBytes, MAX_OUTCALL_REQUEST_BYTES)
  );
}

export function headersBytes(headers: readonly HttpHeader[]): number {
  return headers.reduce((sum, header) => sum + headerBytes(header), 0);
}

export function headerBytes({ name, value }: HttpHeader): number {
  return utf8Length(name) + utf8Length(value);
}

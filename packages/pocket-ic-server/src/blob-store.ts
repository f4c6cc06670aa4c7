// Blobs that a client uploads once and names by their SHA-256 later: POST /blobstore, GET /blobstore/<hex>. The name is
// the hash of the bytes as they came, compressed or not.
import { gunzipSync } from "node:zlib";
import { sha256 } from "@atoll/host-node";
import { toHex } from "@atoll/types";
import type { HttpRequest, HttpResponse } from "@atoll/types/http";
import { emptyAnswer, Refusal, textAnswer } from "./answers.ts";

interface Blob {
  readonly bytes: Uint8Array;
  readonly isGzip: boolean;
}

/** A few bytes of gzip may stand for terabytes. */
const MAX_UNPACKED_BYTES = 8 * 1024 ** 3;
const NAME = /^[0-9a-fA-F]{64}$/;

export class BlobStore {
  readonly #blobs = new Map<string, Blob>();

  upload({ body, headers }: HttpRequest): HttpResponse {
    const encoding = headers.get("content-encoding");
    if (encoding !== undefined && encoding !== null && encoding !== "gzip") {
      return textAnswer(400, "Bad encoding: only the content encoding gzip is supported.");
    }
    const name = toHex(sha256(body));
    // The request's own memory may be a part of something larger.
    this.#blobs.set(name, { bytes: body.slice(), isGzip: encoding === "gzip" });
    return textAnswer(200, name);
  }

  download(name: string): HttpResponse {
    if (!NAME.test(name)) return emptyAnswer(400);
    const blob = this.#blobs.get(name.toLowerCase());
    if (blob === undefined) return emptyAnswer(404);
    const headers = { "content-type": "application/octet-stream", ...(blob.isGzip && { "content-encoding": "gzip" }) };
    return { status: 200, headers, body: blob.bytes };
  }

  /** The bytes themselves, unpacked. Throws a Refusal. */
  content(hash: Uint8Array): Uint8Array {
    const blob = this.#blobs.get(toHex(hash));
    if (blob === undefined) throw new Refusal(400, `There is no blob with the id ${toHex(hash).slice(0, 64)}.`);
    if (!blob.isGzip) return blob.bytes;
    try {
      return new Uint8Array(gunzipSync(blob.bytes, { maxOutputLength: MAX_UNPACKED_BYTES }));
    } catch {
      throw new Refusal(400, `The blob ${toHex(hash)} was uploaded as gzip and cannot be unpacked.`);
    }
  }
}

// A network with one web canister for the tests of the gateway: the real HTTP interface in front of a state that is
// really certified, and a function that says what the canister answers.
import { principalToText, type QueryResult, userError } from "@atoll/types";
import type { HttpHandler, HttpRequest, WebHandler, WebResponse } from "@atoll/types/http";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { createHttpHandler } from "../../replica/src/http/index.ts";
import { CANISTER, type CertifiedBackend, createCertifiedBackend } from "../../replica/test/http/certified-backend.ts";
import { testTimer } from "../../replica/test/http/requests.ts";
import { createGateway, type GatewayOptions } from "../src/index.ts";

export const CANISTER_TEXT = principalToText(CANISTER);

/** As a Motoko or Rust canister declares it: with a token type of its own. */
export const Token = IDL.Record({ key: IDL.Text, index: IDL.Nat, seen: IDL.Opt(IDL.Vec(IDL.Nat8)) });
const Callback = IDL.Func([Token], [IDL.Record({ body: IDL.Vec(IDL.Nat8), token: IDL.Opt(Token) })], ["query"]);
const Headers = IDL.Vec(IDL.Tuple(IDL.Text, IDL.Text));
const Answer = IDL.Record({
  status_code: IDL.Nat16,
  headers: Headers,
  body: IDL.Vec(IDL.Nat8),
  upgrade: IDL.Opt(IDL.Bool),
  streaming_strategy: IDL.Opt(IDL.Variant({ Callback: IDL.Record({ callback: Callback, token: Token }) })),
});
const Asked = IDL.Record({
  method: IDL.Text,
  url: IDL.Text,
  headers: Headers,
  body: IDL.Vec(IDL.Nat8),
  certificate_version: IDL.Opt(IDL.Nat16),
});

export interface Answered {
  status?: number;
  headers?: [string, string][];
  body?: string | Uint8Array;
  upgrade?: boolean;
  streaming?: { callback: [Principal, string]; token: { key: string; index: bigint; seen: [] | [Uint8Array] } };
}

export interface AskedFields {
  method: string;
  url: string;
  headers: [string, string][];
  body: Uint8Array;
  certificate_version: [] | [number];
}

export function encodeAnswer(answer: Answered): Uint8Array {
  const { status = 200, headers = [], body = "", upgrade, streaming } = answer;
  return new Uint8Array(
    IDL.encode(
      [Answer],
      [
        {
          status_code: status,
          headers,
          body: typeof body === "string" ? new TextEncoder().encode(body) : body,
          upgrade: upgrade === undefined ? [] : [upgrade],
          streaming_strategy: streaming === undefined ? [] : [{ Callback: streaming }],
        },
      ],
    ),
  );
}

export function decodeAsked(arg: Uint8Array): AskedFields {
  return (IDL.decode([Asked], new Uint8Array(arg)) as unknown as [AskedFields])[0];
}

export interface Web {
  readonly backend: CertifiedBackend;
  readonly api: HttpHandler;
  readonly gateway: WebHandler;
  /** Makes the canister answer `http_request` like this; a number is an error code of the protocol. */
  answer(answer: (asked: AskedFields) => Answered | number | Uint8Array): void;
  get(target: string, extra?: Partial<HttpRequest> & { fields?: Record<string, string> }): Promise<WebResponse>;
}

export async function createWeb(options: Partial<GatewayOptions> = {}): Promise<Web> {
  const backend = await createCertifiedBackend();
  const api = createHttpHandler(backend, { timer: testTimer, syncCallTimeoutMs: 300 });
  let nonce = 0;
  const entropy = { randomBytes: (length: number) => new Uint8Array(length).fill(nonce++) };
  const gateway = createGateway({
    api,
    clock: backend.clock,
    crypto: backend.crypto,
    entropy,
    timer: testTimer,
    ...options,
  });
  return {
    backend,
    api,
    gateway,
    answer: (answer) => {
      backend.switches.query = (query): QueryResult => {
        const answered = answer(decodeAsked(query.arg));
        if (typeof answered === "number") {
          return { kind: "rejected", error: userError(answered as 502, "<script>alert(1)</script>\u001b[31m") };
        }
        return { kind: "replied", reply: answered instanceof Uint8Array ? answered : encodeAnswer(answered) };
      };
    },
    get: (target, { fields, ...extra } = {}) => {
      const all: Record<string, string> = { host: `${CANISTER_TEXT}.localhost:4943`, accept: "text/html", ...fields };
      const headers = { get: (name: string) => all[name], entries: () => Object.entries(all) };
      return gateway({ method: "GET", target, headers, body: new Uint8Array(0), ...extra });
    },
  };
}

export async function bodyOf(response: WebResponse): Promise<string> {
  return new TextDecoder().decode(await bytesOf(response));
}

export async function bytesOf(response: WebResponse): Promise<Uint8Array> {
  if (response.body instanceof Uint8Array) return response.body;
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

export function header(response: WebResponse, name: string): string | undefined {
  return response.headers.find(([present]) => present.toLowerCase() === name)?.[1];
}

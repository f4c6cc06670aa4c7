// The table of paths that read_state serves (interface specification, "Request: Read state"), each row once where it
// is permitted and once where it is not.
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { type CborMap, decodeCbor, decodeCertificate, fromHex, type PrincipalId, principalToText } from "@atoll/types";
import type { HttpHandler } from "@atoll/types/http";
import { createHttpHandler } from "../../src/http/index.ts";
import { checkPaths } from "../../src/http/read-state-paths.ts";
import { CANISTER, type CertifiedBackend, createCertifiedBackend, OTHER_CANISTER } from "./certified-backend.ts";
import { CANISTER_TEXT, envelope, post, testTimer, textOf } from "./requests.ts";

const encoder = new TextEncoder();
let backend: CertifiedBackend;
let handle: HttpHandler;

before(async () => {
  backend = await createCertifiedBackend();
  handle = createHttpHandler(backend, { timer: testTimer });
});

/** `$own`, `$other`, `$canister` and so on stand for ids. */
function pathOf(text: string): Uint8Array[] {
  const ids: Record<string, Uint8Array> = {
    $own: fromHex(backend.subnet.subnetId),
    $other: Uint8Array.of(1, 2, 3),
    $canister: fromHex(CANISTER),
    $canister2: fromHex(OTHER_CANISTER),
    $request: new Uint8Array(32).fill(5),
    $request2: new Uint8Array(32).fill(6),
    $bad: Uint8Array.of(0xff),
  };
  return text === "" ? [] : text.split("/").map((label) => ids[label] ?? encoder.encode(label));
}

async function read(endpoint: string, paths: string[]) {
  const id = endpoint.endsWith("subnet") ? principalToText(backend.subnet.subnetId) : CANISTER_TEXT;
  const answer = await post(
    handle,
    `/api/${endpoint}/${id}/read_state`,
    envelope("read_state", { paths: paths.map(pathOf) }),
  );
  return { status: answer.status, answer };
}

describe("paths", () => {
  // Columns: v2 canister, v3 canister, v2 subnet, v3 subnet.
  const endpoints = ["v2/canister", "v3/canister", "v2/subnet", "v3/subnet"];
  const rows: [string, number[]][] = [
    ["time", [200, 200, 200, 200]],
    ["time/x", [404, 404, 404, 404]],
    ["api_boundary_nodes", [200, 200, 200, 200]],
    ["api_boundary_nodes/$other/domain", [200, 200, 200, 200]],
    ["api_boundary_nodes/$other/port", [404, 404, 404, 404]],
    ["subnet", [200, 200, 200, 200]],
    ["subnet/$other", [200, 200, 200, 200]],
    ["subnet/$own/public_key", [200, 200, 200, 200]],
    ["subnet/$own/type", [200, 200, 200, 200]],
    ["subnet/$own/node/$other/public_key", [200, 200, 200, 200]],
    ["subnet/$own/node/$other/secret_key", [404, 404, 404, 404]],
    ["subnet/$own/anything", [404, 404, 404, 404]],
    ["subnet/$own/canister_ranges", [200, 200, 200, 200]],
    ["subnet/$other/canister_ranges", [200, 404, 200, 404]],
    ["subnet/$own/metrics", [404, 404, 200, 200]],
    ["subnet/$other/metrics", [404, 404, 400, 400]],
    ["canister_ranges/$own", [404, 404, 200, 200]],
    ["canister_ranges", [404, 404, 404, 404]],
    ["canister/$canister/controllers", [200, 200, 404, 404]],
    ["canister/$canister/module_hash", [200, 200, 404, 404]],
    ["canister/$canister/canister_creation_timestamp", [200, 200, 404, 404]],
    ["canister/$canister2/controllers", [400, 400, 404, 404]],
    ["canister/$canister/metadata/candid:service", [200, 200, 404, 404]],
    ["canister/$canister/metadata/$bad", [400, 400, 404, 404]],
    ["canister/$canister/metadata", [404, 404, 404, 404]],
    ["canister/$canister/certified_data", [404, 404, 404, 404]],
    ["canister/$canister", [404, 404, 404, 404]],
    ["canister", [404, 404, 404, 404]],
    ["request_status/$request", [200, 200, 404, 200]],
    ["request_status/$request/reply", [200, 200, 404, 200]],
    ["request_status/$request/secret", [404, 404, 404, 404]],
    ["request_status/$other", [400, 400, 404, 400]],
    ["request_status", [404, 404, 404, 404]],
    ["metadata/height", [404, 404, 404, 404]],
    ["streams", [404, 404, 404, 404]],
    ["", [404, 404, 404, 404]],
  ];
  for (const [path, expected] of rows) {
    it(`/${path}: ${expected.join(" ")}`, async () => {
      const got: number[] = [];
      for (const endpoint of endpoints) got.push((await read(endpoint, [path])).status);
      assert.deepEqual(got, expected);
    });
  }

  it("says what is wrong with a path that is nowhere", async () => {
    assert.equal(textOf((await read("v3/canister", ["metadata/height"])).answer), "Invalid path requested.");
  });

  it("are of one request and of the ranges of one subnet", async () => {
    assert.equal((await read("v3/canister", ["request_status/$request", "request_status/$request/reply"])).status, 200);
    assert.equal((await read("v3/canister", ["request_status/$request", "request_status/$request2"])).status, 400);
    assert.equal((await read("v3/subnet", ["canister_ranges/$own", "canister_ranges/$other"])).status, 400);
  });

  it("are at most 1000, with at most 127 labels", async () => {
    assert.equal((await read("v3/canister", new Array(1000).fill("time"))).status, 200);
    assert.equal((await read("v3/canister", new Array(1001).fill("time"))).status, 400);
    assert.equal((await read("v3/canister", [new Array(127).fill("subnet").join("/")])).status, 404);
    assert.equal((await read("v3/canister", [new Array(128).fill("subnet").join("/")])).status, 400);
  });

  it("may be none: the certificate still has the time", async () => {
    const { answer } = await read("v3/canister", []);
    const certificate = (decodeCbor(answer.body) as CborMap).get("certificate");
    assert.ok(certificate instanceof Uint8Array);
    assert.equal(decodeCertificate(certificate).signature.length, 48);
  });
});

describe("permissions", () => {
  const origin = { sender: "0404" as PrincipalId, receiver: CANISTER };
  const check = (path: string, sender: string, targets: PrincipalId[] | undefined) =>
    checkPaths(
      { ...backend, ingressOrigin: () => origin, controllers: () => ["0a" as PrincipalId] },
      { on: "canister", version: 3 },
      [pathOf(path)],
      {
        sender: sender as PrincipalId,
        effectiveId: CANISTER,
        mayCall: (receiver) => targets === undefined || targets.includes(receiver),
      },
    )?.status;

  it("only the sender reads the status of a request", () => {
    assert.equal(check("request_status/$request", "0404", undefined), undefined);
    assert.equal(check("request_status/$request", "0405", undefined), 403);
    assert.equal(check("request_status/$request", "04", undefined), 403);
  });

  it("a delegation must cover the canister that the request was for", () => {
    assert.equal(check("request_status/$request", "0404", [CANISTER]), undefined);
    assert.equal(check("request_status/$request", "0404", [OTHER_CANISTER]), 403);
  });

  it("only controllers read private sections", () => {
    assert.equal(check("canister/$canister/metadata/secret", "0a", undefined), undefined);
    assert.equal(check("canister/$canister/metadata/secret", "0b", undefined), 403);
    assert.equal(check("canister/$canister/metadata/open", "0b", undefined), undefined);
  });
});

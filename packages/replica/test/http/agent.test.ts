// The TypeScript agent against the HTTP interface over a real socket: it checks certificates, node signatures and
// status codes by itself and is the judge here.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type HttpServer, startHttpServer } from "@atoll/host-node/http-server";
import { ErrorCode, fromHex, type IngressMessage, userError } from "@atoll/types";
import { Actor, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { createHttpHandler } from "../../src/http/index.ts";
import { CANISTER, type CertifiedBackend, createCertifiedBackend } from "./certified-backend.ts";
import { testTimer } from "./requests.ts";

const canisterId = Principal.fromUint8Array(fromHex(CANISTER));
const echo = IDL.Service({
  echo: IDL.Func([IDL.Text], [IDL.Text], []),
  echo_query: IDL.Func([IDL.Text], [IDL.Text], ["query"]),
});

describe("agent of @icp-sdk/core", () => {
  let backend: CertifiedBackend;
  let server: HttpServer;
  let agent: HttpAgent;

  before(async () => {
    backend = await createCertifiedBackend();
    const apiHandler = createHttpHandler(backend, { timer: testTimer, syncCallTimeoutMs: 200 });
    server = await startHttpServer({ host: "127.0.0.1", port: 0, apiHandler });
    const identity = Ed25519KeyIdentity.generate(new Uint8Array(32).fill(1));
    agent = await HttpAgent.create({ host: server.url, identity, shouldFetchRootKey: true, retryTimes: 0 });
  });
  after(() => server.close());

  const actor = () =>
    Actor.createActor<Record<string, (text: string) => Promise<string>>>(() => echo, { agent, canisterId });

  it("reads the status", async () => {
    const status = await agent.status();
    assert.equal(status.replica_health_status, "healthy");
    assert.deepEqual(new Uint8Array(status.root_key as unknown as Uint8Array), backend.subnet.rootKey);
  });

  it("makes an update and verifies its certificate", async () => {
    assert.equal(await actor().echo?.("hello"), "hello");
    const message = backend.submitted.at(-1);
    assert.equal(message?.methodName, "echo");
    assert.equal(message?.receiver, CANISTER);
    assert.equal(message?.effectiveCanisterId, CANISTER);
  });

  it("makes a query and verifies the signature of the node", async () => {
    assert.equal(await actor().echo_query?.("hi"), "hi");
  });

  it("shows the reject of an update", async () => {
    backend.switches.outcome = () => userError(ErrorCode.CanisterCalledTrap, "trapped on purpose");
    await assert.rejects(async () => actor().echo?.("x"), /trapped on purpose/);
    backend.switches.outcome = () => "reply";
  });

  it("shows the reject of the ingress filter", async () => {
    backend.switches.filter = () => userError(ErrorCode.CanisterStopped, "Canister is stopped");
    await assert.rejects(async () => actor().echo?.("x"), /IC0508/);
    backend.switches.filter = () => undefined;
  });

  it("shows the reject of a query, verified", async () => {
    backend.switches.query = () => ({
      kind: "rejected",
      error: userError(ErrorCode.CanisterMethodNotFound, "no such method"),
    });
    await assert.rejects(async () => actor().echo_query?.("x"), /no such method/);
    backend.switches.query = (query) => ({ kind: "replied", reply: query.arg });
  });

  it("polls with read_state when the synchronous call gives up", async () => {
    const before = backend.submitted.length;
    backend.switches.outcome = () => "never";
    const pending = actor().echo?.("late");
    await new Promise((resolve) => setTimeout(resolve, 400));
    backend.switches.outcome = () => "reply";
    assert.equal(backend.submitted.length, before + 1);
    backend.finish(backend.submitted.at(-1) as IngressMessage);
    assert.equal(await pending, "late");
  });

  it("finds that a canister has a module by read_state", async () => {
    const response = await agent.readState(
      { canisterId },
      {
        paths: [
          [new TextEncoder().encode("canister"), canisterId.toUint8Array(), new TextEncoder().encode("module_hash")],
        ],
      },
    );
    assert.ok(response.certificate.length > 100);
  });
});

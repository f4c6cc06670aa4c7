// The short version of `npm run interop:js-core`: what the end-to-end tests of the official JavaScript agent ask of a
// network, in our own words and with the agent that npm has, against a network that `atoll start` runs.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  Actor,
  type ActorConfig,
  type ActorSubclass,
  Certificate,
  HttpAgent,
  LookupPathStatus,
  TrustError,
} from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { endAll, type Network, startNetwork, temporaryFolder } from "../../../apps/cli/test/process.ts";
import { agentOf, identity } from "../../../apps/cli/test/recorder.ts";
import { canister } from "../../../packages/execution/test/canisters/build.ts";
import { deploy } from "../../../packages/replica/test/network.ts";
import { type ManInTheMiddle, startManInTheMiddle } from "./man-in-the-middle.ts";

interface Counter {
  inc(): Promise<bigint>;
  get(): Promise<bigint>;
  greet(name: string): Promise<string>;
  whoami(): Promise<Principal>;
}

const counter: IDL.InterfaceFactory = () =>
  IDL.Service({
    inc: IDL.Func([], [IDL.Nat], []),
    get: IDL.Func([], [IDL.Nat], ["query"]),
    greet: IDL.Func([IDL.Text], [IDL.Text], ["query"]),
    whoami: IDL.Func([], [IDL.Principal], ["query"]),
  });

const Created = IDL.Record({ canister_id: IDL.Principal });
const Create = IDL.Record({ amount: IDL.Opt(IDL.Nat), settings: IDL.Opt(IDL.Record({})) });

describe("the JavaScript agent", () => {
  let network: Network;
  let agent: HttpAgent;
  let id: Principal;

  const actorOf = (with_: HttpAgent, config: Partial<ActorConfig> = {}): ActorSubclass<Counter> =>
    Actor.createActor<Counter>(counter, { agent: with_, canisterId: id, ...config });

  before(async () => {
    network = await startNetwork({ stateDir: temporaryFolder() });
    // As a client that is told nothing but the address.
    agent = await HttpAgent.create({ host: network.gatewayUrl, shouldFetchRootKey: true, identity: identity(3) });
    id = await deploy(agent, (await canister("rust-counter")).wasm);
  });
  after(endAll);

  async function defaultEffectiveCanisterId(): Promise<Principal> {
    const topology = (await (await fetch(new URL("/_/topology", network.gatewayUrl))).json()) as {
      default_effective_canister_id: { canister_id: string };
    };
    return Principal.fromUint8Array(Buffer.from(topology.default_effective_canister_id.canister_id, "base64"));
  }

  test("the topology names a canister id whose subnet certifies the time", async () => {
    const canisterId = await defaultEffectiveCanisterId();
    const paths = [[new TextEncoder().encode("time")]];
    const { certificate } = await agent.readState({ canisterId }, { paths });
    const { rootKey } = agent;
    assert.ok(rootKey);
    const verified = await Certificate.create({ certificate, rootKey, principal: { canisterId } });
    assert.equal(verified.lookup_path(["time"]).status, LookupPathStatus.Found);
    assert.equal(verified.lookup_path(["Time"]).status, LookupPathStatus.Unknown);
  });

  test("a canister is created on the subnet of that id, addressed by the subnet", async () => {
    const subnetId = await agent.getSubnetIdFromCanister(await defaultEffectiveCanisterId());
    const { reply } = await agent.update(Principal.managementCanister(), {
      methodName: "provisional_create_canister_with_cycles",
      arg: new Uint8Array(IDL.encode([Create], [{ amount: [100_000_000_000n], settings: [] }])),
      effectiveTarget: { subnetId },
    });
    const [{ canister_id: created }] = IDL.decode([Created], reply) as unknown as [{ canister_id: Principal }];
    assert.equal((await agent.getSubnetIdFromCanister(created)).toText(), subnetId.toText());
  });

  test("a query as an update, polling with a request that was signed ahead", async () => {
    const before = await actorOf(agent).get();
    const polling = actorOf(agent, { pollingOptions: { preSignReadStateRequest: true } });
    assert.equal(await polling.inc(), before + 1n);
    assert.equal(await actorOf(agent, { queryStrategy: "update" }).get(), before + 1n);
    const numbers = await Promise.all(Array.from({ length: 8 }, () => actorOf(agent).inc()));
    assert.equal(new Set(numbers).size, 8, "distinct by their nonces");
  });

  test("the caller of a query and of an update is the identity that signed", async () => {
    for (const queryStrategy of ["query", "update"] as const) {
      const caller = await actorOf(agent, { queryStrategy }).whoami();
      assert.equal(caller.toText(), identity(3).getPrincipal().toText());
    }
  });

  describe("behind somebody who changes answers", () => {
    let middle: ManInTheMiddle;
    let agents: { readonly verifying: HttpAgent; readonly trusting: HttpAgent };
    before(async () => {
      middle = await startManInTheMiddle(network.gatewayUrl, ["hello", "hullo"]);
      const options = { host: middle.url, rootKey: network.rootKey, retryTimes: 0 };
      agents = {
        verifying: await HttpAgent.create(options),
        trusting: await HttpAgent.create({ ...options, verifyQuerySignatures: false }),
      };
    });
    after(() => middle?.close());

    test("refuses a changed certificate and a changed query, and takes what is untouched", async () => {
      await assert.rejects(actorOf(agents.verifying, { queryStrategy: "update" }).greet("you"), TrustError);
      await assert.rejects(actorOf(agents.verifying).greet("you"), TrustError);
      assert.equal(await actorOf(agents.verifying).get(), await actorOf(agentOf(network)).get());
      // The words did change: without the check of signatures the change goes through.
      assert.equal(await actorOf(agents.trusting).greet("you"), "hullo, you!");
    });
  });
});

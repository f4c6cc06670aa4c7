// The network that a test holds: subnets, canisters with typed actors, a clock of its own, every message in sight.
// Made by `createNetwork`. Nothing moves unless the test says so: a call that is awaited runs rounds until it is
// answered, `tick` runs one, `startProgress` lets it move by itself.
import { toFetch } from "@atoll/replica";
import { ANONYMOUS, type PrincipalId, type Time } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import type { Network } from "../network.ts";
import type { NetworkSubnet, SubnetSpec } from "../network-subnet.ts";
import type { ProgressOptions } from "../progress.ts";
import type { SubnetKind } from "../subnet-kinds.ts";
import { type AnyService, CandidInterface } from "./candid-interface.ts";
import { type Duration, type Moment, momentNs, spanNs } from "./durations.ts";
import { Faults } from "./faults.ts";
import { checkOptions, type FieldsOf } from "./given-options.ts";
import { allHeld, type HeldMessage, type Hold, type HoldOptions, hold, release } from "./held-messages.ts";
import { type InitArgument, initArgument, installCode } from "./install.ts";
import { manage } from "./management.ts";
import { allMessages, type FlightMessage } from "./messages-in-flight.ts";
import { runToNextAwait } from "./next-await.ts";
import { idOf, type PrincipalLike, type TestIdentity, toPrincipal } from "./principals.ts";
import type { Session } from "./session.ts";
import { candidSettings, type SettingsChange } from "./settings.ts";
import type { SubmittedCall } from "./submitted-call.ts";
import { checkSubnet } from "./subnet-options.ts";
import { TestCanister } from "./test-canister.ts";
import { type OutcallHandler, pendingOutcalls, type TestOutcall } from "./test-outcalls.ts";

/** A subnet as a test sees it. */
export interface SubnetView {
  readonly id: Principal;
  readonly kind: SubnetKind;
  /** Nodes: what fees are reckoned with, and how many answers an outcall gets. */
  readonly size: number;
  /** Inclusive. */
  readonly canisterRanges: readonly (readonly [Principal, Principal])[];
}

export interface CreateOptions {
  /** A subnet or its kind; default: the one that takes canisters. */
  readonly subnet?: SubnetView | Principal | SubnetKind;
  /** The canister's id: one that a subnet of the network hosts. */
  readonly id?: PrincipalLike;
  /** Default: 100 T. */
  readonly cycles?: bigint;
  /** Default: the principal of `as`. */
  readonly controllers?: readonly PrincipalLike[];
  readonly settings?: SettingsChange;
  /** Who creates it and installs the code; default: the identity "controller". */
  readonly as?: PrincipalLike;
  /** How messages and trees call it; default: its id. */
  readonly name?: string;
  /** Its interface, for `actor`. */
  readonly candid?: IDL.InterfaceFactory;
}

export interface InstallOptions extends CreateOptions, InitArgument {
  /** The module, possibly gzipped. */
  readonly wasm: Uint8Array;
}

/** A call in bytes, as any principal. */
export interface RawCall {
  readonly canister: PrincipalLike;
  readonly method: string;
  /** Default: Candid of no arguments. */
  readonly arg?: Uint8Array;
  /** Default: the anonymous principal. */
  readonly as?: PrincipalLike;
  /** For the management canister: the canister or the subnet that the call is about. */
  readonly effective?: PrincipalLike;
}

const CREATION: FieldsOf<CreateOptions> = {
  subnet: true,
  id: true,
  cycles: true,
  controllers: true,
  settings: true,
  as: true,
  name: true,
  candid: true,
};
const CALL: FieldsOf<RawCall> = { canister: true, method: true, arg: true, as: true, effective: true };

const DEFAULT_CYCLES = 100_000_000_000_000n;

export class TestNetwork {
  /** The network below the kit, for what the kit does not show. */
  readonly engine: Network;
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
    this.engine = session.engine;
  }

  get subnets(): readonly SubnetView[] {
    return [...this.engine.subnets.values()].map(viewOf);
  }

  /** One more subnet. */
  async addSubnet(spec: SubnetSpec): Promise<SubnetView> {
    checkSubnet(spec);
    return viewOf(await this.engine.addSubnet(spec));
  }

  /** DER of the key that all certificates go back to. */
  get rootKey(): Uint8Array {
    return this.engine.rootKey;
  }

  /** The network's HTTP interface as a `fetch`, for agents: give them `rootKey` too, and let the network progress. */
  get fetch(): (input: Request | URL | string, init?: RequestInit) => Promise<Response> {
    const answer = toFetch(this.engine.api);
    return (input, init) => answer(new Request(input, init));
  }

  /** The same principal for the same name, in every test. */
  identity(name: string): TestIdentity {
    return this.#session.identity(name);
  }

  // --- canisters

  /** A canister with code. Rejects with CanisterReject when the network refuses the canister or its code. */
  async install<Service = AnyService>(options: InstallOptions): Promise<TestCanister<Service>> {
    const { wasm, arg: _arg, init: _init, args: _args, ...creation } = options;
    const canister = await this.createCanister<Service>(creation);
    const sender = this.#creator(options);
    const mode = { kind: "install" } as const;
    await installCode(this.#session, sender, idOf(canister), { wasm, arg: initArgument(options), mode });
    return canister;
  }

  /** A canister without code. */
  async createCanister<Service = AnyService>(options: CreateOptions = {}): Promise<TestCanister<Service>> {
    checkOptions("createCanister", options, CREATION);
    const { id, cycles = DEFAULT_CYCLES, name, candid } = options;
    const sender = this.#creator(options);
    const controllers = options.controllers ?? options.settings?.controllers ?? [toPrincipal(sender)];
    const argument = {
      amount: [cycles],
      settings: [candidSettings({ ...options.settings, controllers })],
      specified_id: id === undefined ? [] : [toPrincipal(idOf(id))],
      sender_canister_version: [],
    };
    const method = "provisional_create_canister_with_cycles";
    const place = this.#placeOf(options);
    const created = await manage<{ canister_id: Principal }>(this.#session, sender, method, argument, place);
    return this.canister<Service>(created.canister_id, {
      ...(name !== undefined && { name }),
      ...(candid !== undefined && { candid }),
    });
  }

  /** A canister that is there: by its id, or one that was found on a network that this one is a fork of. */
  canister<Service = AnyService>(
    which: TestCanister<Service> | PrincipalLike,
    facts: { readonly name?: string; readonly candid?: IDL.InterfaceFactory } = {},
  ): TestCanister<Service> {
    const id = idOf(which);
    const { known } = this.#session;
    const { name, candid } = facts;
    known.set(id, {
      ...known.get(id),
      ...(name !== undefined && { name }),
      ...(candid !== undefined && { candid: new CandidInterface(candid) }),
    });
    return new TestCanister<Service>(this.#session, id);
  }

  /** The methods of a canister by its interface. */
  actor<Service>(candid: IDL.InterfaceFactory, canister: PrincipalLike, options: { readonly as?: PrincipalLike } = {}) {
    return this.canister<Service>(canister, { candid }).as(options.as ?? toPrincipal(ANONYMOUS)).actor;
  }

  // --- calls in bytes

  /** Lets an update in and waits for nothing. Rejects with CanisterReject when it is not let in. */
  async submit(call: RawCall): Promise<SubmittedCall<Uint8Array>> {
    return this.#session.submit(rawCall(call), (reply) => reply);
  }

  /** The same call here: one that was made on the network that this one is a fork of. */
  sameCall<Result>(call: SubmittedCall<Result>): SubmittedCall<Result> {
    return this.#session.sameCall(call);
  }

  /** An update and its reply. Rejects with CanisterReject. */
  async call(call: RawCall): Promise<Uint8Array> {
    return (await this.submit(call)).answer();
  }

  /** A query and its reply. Rejects with CanisterReject. */
  async query(call: RawCall): Promise<Uint8Array> {
    return this.#session.query(rawCall(call));
  }

  // --- time

  /** ns since 1970: of the next round. */
  get time(): Time {
    return this.engine.time;
  }

  /** Throws RangeError for a time that is over. What is due then runs in the next round. */
  setTime(moment: Moment): void {
    this.engine.setTime(momentNs(moment));
  }

  /** Moves the clock on; what has become due runs in the next round. */
  advance(duration: Duration): void {
    this.engine.advance(spanNs(duration));
  }

  /** Rounds on every subnet. */
  async tick(rounds = 1): Promise<void> {
    for (let left = rounds; left > 0; left--) await this.engine.tick();
  }

  /** From now on it moves by itself, at the pace of the clock or `speed` times as fast. */
  startProgress(options: ProgressOptions = {}): void {
    this.engine.startProgress(options);
  }

  stopProgress(): Promise<void> {
    return this.engine.stopProgress();
  }

  // --- what is under way

  /** All messages under way, on all subnets: in queues, streams, put aside, and the calls that wait for answers. */
  messages(): FlightMessage[] {
    return allMessages(this.#session);
  }

  /** From now on puts messages aside that match, before their receiver has them. */
  hold(options: HoldOptions = {}): Promise<Hold> {
    return hold(this.#session, options);
  }

  /** All messages that are put aside; of a fork those that were when it was made, too. */
  held(): HeldMessage[] {
    return allHeld(this.#session);
  }

  /** Delivers messages that are held, in the order of the list. */
  release(messages: readonly HeldMessage[]): Promise<void> {
    return release(this.#session, messages);
  }

  /**
   * Runs rounds of one execution each until the call waits for an answer that it did not wait for before, or is answered.
   * Gives the calls that its canister waits for: none when it is answered.
   */
  runToNextAwait(call: SubmittedCall<unknown>): Promise<FlightMessage[]> {
    return runToNextAwait(this.#session, call);
  }

  /** Faults on purpose. */
  get faults(): Faults {
    return new Faults(this.#session);
  }

  // --- the web

  /** HTTPS outcalls that wait for an answer, in the order in which they were made. */
  outcalls(): TestOutcall[] {
    return pendingOutcalls(this.#session);
  }

  /** The first outcall that waits for an answer; runs rounds until there is one. Rejects after 100 rounds without. */
  async nextOutcall(): Promise<TestOutcall> {
    for (let rounds = 0; rounds <= 100; rounds++) {
      const [first] = this.outcalls();
      if (first !== undefined) return first;
      await this.engine.tick();
    }
    throw new Error("no canister made an outcall in 100 rounds");
  }

  /** Has `handler` answer outcalls while calls are awaited; undefined: nobody does, but the test. */
  onOutcall(handler: OutcallHandler | undefined): void {
    this.#session.outcallHandler = handler;
  }

  // --- life

  /**
   * The same network once more, as it is now, in a millisecond or two: same canisters, messages, time and names, and from
   * here on a life of its own. `fork.canister(counter)` is its `counter`, `fork.sameCall(call)` a call in flight.
   */
  async fork(): Promise<TestNetwork> {
    return new TestNetwork(await this.#session.fork());
  }

  /**
   * All that has happened, forks included, as a file: `bin/atoll replay FILE` executes it again on any machine, so that
   * somebody else can look at a test that failed. Throws TypeError on a network that is not made with `record: true`.
   */
  recording(): Promise<Uint8Array> {
    return this.engine.recording();
  }

  /** Nothing may be called after it. */
  close(): Promise<void> {
    return this.#session.close();
  }

  #creator({ as }: CreateOptions): PrincipalId {
    return as === undefined ? idOf(this.identity("controller")) : idOf(as);
  }

  /** Whom a creation is addressed to: the id that is asked for, or a subnet; undefined: who takes canisters. */
  #placeOf({ id, subnet }: CreateOptions): PrincipalId | undefined {
    if (id !== undefined) return idOf(id);
    if (subnet === undefined) return undefined;
    if (typeof subnet === "object") return idOf("kind" in subnet ? subnet.id : subnet);
    const found = [...this.engine.subnets.values()].find(({ kind }) => kind === subnet);
    if (found === undefined) throw new TypeError(`the network has no ${subnet} subnet`);
    return found.id;
  }
}

function viewOf({ id, kind, config }: NetworkSubnet): SubnetView {
  return {
    id: toPrincipal(id),
    kind,
    size: config.nodes.length,
    canisterRanges: config.canisterRanges.map(([first, last]) => [toPrincipal(first), toPrincipal(last)]),
  };
}

function rawCall(call: RawCall) {
  checkOptions("a call", call, CALL);
  const { canister, method, arg, as, effective } = call;
  if (arg !== undefined && !ArrayBuffer.isView(arg)) throw new TypeError("`arg` is the bytes of an argument");
  return {
    sender: as === undefined ? ANONYMOUS : idOf(as),
    receiver: idOf(canister),
    methodName: method,
    arg: arg ?? IDL.encode([], []),
    ...(effective !== undefined && { effective: idOf(effective) }),
  };
}

// The clients of a run: they install a counter and a register, call them through whatever node they happen to ask, and what they
// were told must be what one counter and one register could have said. Section 24, invariant 7.
import type { CertificateCrypto } from "@atoll/crypto";
import {
  type CanisterId,
  type CryptoPort,
  canisterIdFromIndex,
  MANAGEMENT_CANISTER,
  principalFromBytes,
  principalToBytes,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { Violation } from "./checkers/checker.ts";
import {
  type CounterCall,
  findCounterFault,
  findUnexplained,
  type Operation,
  type RegisterCall,
  register,
} from "./checkers/linearizability.ts";
import { type HttpClient, type HttpNode, httpClient, type Target } from "./http-client.ts";
import type { Random } from "./random.ts";
import type { Load } from "./run-plan.ts";
import { MS, type Scheduler, SECOND, type VirtualTime } from "./scheduler.ts";

export interface WorkloadPorts {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly crypto: CryptoPort;
  readonly certificates: CertificateCrypto;
  readonly rootKey: Uint8Array;
  /** The canister: see tools/simulation/workload.ts. */
  readonly module: Uint8Array;
  pickNode(random: Random): HttpNode | undefined;
  /** Whether a node keeps to the protocol. */
  isHonest(node: number): boolean;
  /** Request ids, hex. */
  onSent(requestId: string): void;
  onAccepted(requestId: string, node: number): void;
  onViolation(violation: Violation): void;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Operations of which each register remembers: the search for an order is for short histories. */
const MAX_WRITES = 300;
const SETUP_CYCLES = 10n ** 15n;

export class Workload {
  readonly counter: Mutable<Operation<CounterCall, number>>[] = [];
  readonly register: Mutable<Operation<RegisterCall, number>>[] = [];
  /** Calls that are under way. */
  open = 0;
  answered = 0;
  readonly #load: Load;
  readonly #ports: WorkloadPorts;
  #isStopped = false;
  #isReady = false;
  #nextValue = 1;

  constructor(load: Load, ports: WorkloadPorts) {
    this.#load = load;
    this.#ports = ports;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  start(): void {
    void this.#begin();
  }

  /** No more calls; those that are under way go on. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Throws Violation when no order explains what clients were told. */
  check(): void {
    const fault = findCounterFault(this.counter);
    if (fault !== undefined) throw new Violation(7, `the counter: ${fault}`);
    const unexplained = findUnexplained(this.register, register);
    if (unexplained !== undefined) {
      const last = unexplained.slice(-6).map((each) => JSON.stringify(each));
      throw new Violation(7, `no order explains the register: ... ${last.join(" ")}`);
    }
  }

  async #begin(): Promise<void> {
    const owner = this.#client("owner");
    const counter = await this.#install(owner);
    const cell = await this.#install(owner);
    if (counter === undefined || cell === undefined) return;
    this.#ports.scheduler.note("clients begin");
    this.#isReady = true;
    for (let i = 0; i < this.#load.clients; i++) void this.#work(i, counter, cell);
  }

  #client(name: string): HttpClient {
    const { random } = this.#ports;
    const own = random.stream(name);
    const { isHonest, onViolation } = this.#ports;
    return httpClient(own.bytes(32), {
      ...this.#ports,
      random: own,
      pickNode: () => this.#ports.pickNode(own),
      onUnsigned(node) {
        if (isHonest(node)) onViolation(new Violation(7, `node ${node} has not signed its answer to a query`));
      },
    });
  }

  /** A canister with the module; tried again until it is there. */
  async #install(owner: HttpClient): Promise<Target | undefined> {
    while (!this.#isStopped) {
      const created = await owner.update(
        { canister: MANAGEMENT_CANISTER, effective: canisterIdFromIndex(0n) },
        "provisional_create_canister_with_cycles",
        encode([CreateArgs], [{ amount: [SETUP_CYCLES], settings: [], specified_id: [] }]),
      );
      if (created.kind !== "replied") {
        await this.#pause(SECOND);
        continue;
      }
      const canister = canisterOf(created.reply);
      const installed = await owner.update(
        { canister: MANAGEMENT_CANISTER, effective: canister },
        "install_code",
        encode(
          [InstallArgs],
          [
            {
              mode: { install: null },
              canister_id: Principal.fromUint8Array(principalToBytes(canister)),
              wasm_module: this.#ports.module,
              arg: new Uint8Array(),
            },
          ],
        ),
      );
      if (installed.kind === "replied") return { canister, effective: canister };
    }
    return undefined;
  }

  async #work(number: number, counter: Target, cell: Target): Promise<void> {
    const { random } = this.#ports;
    const own = random.stream(`client ${number} does`);
    const client = this.#client(`client ${number}`);
    while (!this.#isStopped) {
      await this.#pause(own.between(1, 2 * this.#load.pauseNs));
      if (this.#isStopped) return;
      this.open++;
      if (own.chance(this.#load.queries)) await this.#query(client, counter);
      else if (own.chance(0.5)) await this.#count(client, number, counter, own.chance(this.#load.reads));
      else if (this.register.length < MAX_WRITES) await this.#write(client, number, cell, own.chance(this.#load.reads));
      this.open--;
    }
  }

  async #count(client: HttpClient, number: number, counter: Target, isRead: boolean): Promise<void> {
    const call = isRead ? "read" : "increment";
    const operation = this.#called(this.counter, number, call as CounterCall);
    await this.#finish(operation, client, counter, isRead ? "get" : "inc", new Uint8Array());
  }

  async #write(client: HttpClient, number: number, cell: Target, isRead: boolean): Promise<void> {
    const value = this.#nextValue++;
    const call: RegisterCall = isRead ? { kind: "read" } : { kind: "write", value };
    const operation = this.#called(this.register, number, call);
    await this.#finish(operation, client, cell, isRead ? "get" : "put", isRead ? new Uint8Array() : u32(value));
  }

  #called<Call>(history: Mutable<Operation<Call, number>>[], client: number, call: Call) {
    const called = this.#ports.scheduler.now;
    const operation: Mutable<Operation<Call, number>> = {
      client,
      call,
      called,
      answer: undefined,
      returned: undefined,
    };
    history.push(operation);
    return operation;
  }

  async #finish<Call>(
    operation: Mutable<Operation<Call, number>>,
    client: HttpClient,
    target: Target,
    method: string,
    arg: Uint8Array,
  ): Promise<void> {
    const outcome = await client.update(target, method, arg);
    if (outcome.kind === "replied") {
      this.answered++;
      operation.answer = readU32(outcome.reply);
      operation.returned = this.#now;
    }
    // It did not happen: as if it had never been called. What nobody knows of may still happen.
    if (outcome.kind === "rejected") this.#forget(operation);
  }

  #forget(operation: object): void {
    for (const history of [this.counter, this.register] as object[][]) {
      const place = history.indexOf(operation);
      if (place >= 0) history.splice(place, 1);
    }
  }

  async #query(client: HttpClient, counter: Target): Promise<void> {
    const answer = await client.query(counter, "peek", new Uint8Array());
    if (answer === undefined || !this.#ports.isHonest(answer.node)) return;
    const value = readU32(answer.reply);
    const called = this.counter.filter(({ call }) => call === "increment").length;
    if (value > called)
      this.#ports.onViolation(new Violation(7, `node ${answer.node} answered ${value} after ${called} increments`));
  }

  get #now(): VirtualTime {
    return this.#ports.scheduler.now;
  }

  #pause(ns: number): Promise<void> {
    const { scheduler } = this.#ports;
    return new Promise((resolve) => {
      scheduler.after(Math.max(ns, MS), () => {
        resolve();
        scheduler.settleSoon();
      });
    });
  }
}

const CreateArgs = IDL.Record({
  amount: IDL.Opt(IDL.Nat),
  settings: IDL.Opt(IDL.Record({})),
  specified_id: IDL.Opt(IDL.Principal),
});
const InstallArgs = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});
const CreateResult = IDL.Record({ canister_id: IDL.Principal });

function encode(types: IDL.Type[], values: unknown[]): Uint8Array {
  return new Uint8Array(IDL.encode(types, values));
}

function canisterOf(reply: Uint8Array): CanisterId {
  const [{ canister_id }] = IDL.decode([CreateResult], reply) as unknown as [{ canister_id: Principal }];
  return principalFromBytes(canister_id.toUint8Array());
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function readU32(bytes: Uint8Array): number {
  return bytes.length < 4 ? -1 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

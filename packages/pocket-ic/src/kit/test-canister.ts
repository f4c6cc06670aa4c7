// One canister of a test: its actor, its life, its cycles, memory and logs. What its controllers alone may do is done
// as the first of its controllers, whoever that is: no signatures are needed here.
import { allocationCost } from "@atoll/state";
import { ANONYMOUS, type CanisterId, type Cycles, type Intervention, type PrincipalId } from "@atoll/types";
import type { Principal } from "@icp-sdk/core/principal";
import type { CandidMethod, MethodArguments, MethodName, MethodResult, TestActor } from "./candid-interface.ts";
import { type AnyService, type CandidInterface, decodeReply, encodeArguments, makeActor } from "./candid-interface.ts";
import type { LogLine } from "./canister-logs.ts";
import { type CandidStatus, type CanisterStatus, statusOf } from "./canister-status.ts";
import { checkOptions, type FieldsOf } from "./given-options.ts";
import { type InitArgument, type InstallMode, initArgument, installCode } from "./install.ts";
import { type ManagementMethodName, manage, queryManagement } from "./management.ts";
import { idOf, type PrincipalLike, toPrincipal } from "./principals.ts";
import type { Session } from "./session.ts";
import { candidSettings, type SettingsChange } from "./settings.ts";
import { answerOf, type SubmittedCall } from "./submitted-call.ts";

export interface UpgradeOptions extends InitArgument {
  readonly wasm: Uint8Array;
  readonly skipPreUpgrade?: boolean;
  readonly wasmMemoryPersistence?: "keep" | "replace";
}

const MODULE: FieldsOf<InitArgument & { wasm: unknown }> = { wasm: true, arg: true, init: true, args: true };
const UPGRADE: FieldsOf<UpgradeOptions> = { ...MODULE, skipPreUpgrade: true, wasmMemoryPersistence: true };

/** A snapshot of a canister, by what `takeSnapshot` and `snapshots` say of it. */
export interface Snapshot {
  readonly id: Uint8Array;
  /** ns since 1970. */
  readonly takenAt: bigint;
  readonly bytes: bigint;
}

export class TestCanister<Service = AnyService> {
  readonly #session: Session;
  readonly #id: CanisterId;
  readonly #caller: PrincipalId;
  #actor: TestActor<Service> | undefined;

  constructor(session: Session, id: CanisterId, caller: PrincipalId = ANONYMOUS) {
    this.#session = session;
    this.#id = id;
    this.#caller = caller;
  }

  get id(): Principal {
    return toPrincipal(this.#id);
  }

  getPrincipal(): Principal {
    return this.id;
  }

  toString(): string {
    return this.#session.nameOf(this.#id) ?? this.id.toText();
  }

  /** The same canister, called by somebody else. Default: the anonymous principal. */
  as(caller: PrincipalLike): TestCanister<Service> {
    return new TestCanister(this.#session, this.#id, idOf(caller));
  }

  /**
   * The canister's methods by its Candid interface: queries are asked of the last certified state, updates run rounds
   * until they are answered. Rejects with CanisterReject. Throws TypeError when the kit was given no interface.
   */
  get actor(): TestActor<Service> {
    this.#actor ??= makeActor<Service>(this.#candid(), (method, args) =>
      method.isQuery ? this.#query(method, args) : answerOf(this.#submit(method, args)),
    );
    return this.#actor;
  }

  /**
   * Lets a call in without waiting for anything: no round runs. The arguments follow the method. Rejects with
   * CanisterReject when the canister or its subnet do not let the call in.
   */
  async submit<Method extends MethodName<Service>>(
    method: Method,
    ...args: MethodArguments<Service[Method]>
  ): Promise<SubmittedCall<MethodResult<Service[Method]>>> {
    return this.#submit(this.#candid().method(method), args as readonly unknown[]);
  }

  /** Id of the subnet that has it. */
  get subnet(): Principal {
    return toPrincipal(this.#session.subnetOf(this.#id).id);
  }

  get controllers(): readonly Principal[] {
    return this.#session.stateOf(this.#id).settings.controllers.map(toPrincipal);
  }

  /** What it has now, reserved cycles not counted; storage and compute are paid up to the last round. */
  cycles(): Cycles {
    const { state } = this.#session.subnetOf(this.#id).executor.durable.machine;
    const canister = this.#session.stateOf(this.#id);
    const { storage, compute } = allocationCost(state.charges, canister.chargedAt, canister.idleBurn);
    const owed = state.config.costSchedule === "free" ? 0n : storage + compute;
    const { cycles, reservedCycles } = canister;
    const unreserved = owed > reservedCycles ? owed - reservedCycles : 0n;
    return unreserved > cycles ? 0n : cycles - unreserved;
  }

  /** Cycles out of nowhere. */
  async addCycles(amount: Cycles): Promise<void> {
    await this.#intervene({ kind: "add_cycles", canister: this.#id, amount });
  }

  /** Also fewer than it has: 0 to see it run out of cycles. */
  async setCycles(amount: Cycles): Promise<void> {
    await this.#intervene({ kind: "set_cycles", canister: this.#id, amount });
  }

  /** The stable memory, all of it: whole pages of 64 KiB. */
  stableMemory(): Uint8Array {
    const stable = this.#session.stateOf(this.#id).execution?.stable;
    return stable === undefined ? new Uint8Array() : stable.readBytes(0, stable.bytes);
  }

  /** Takes the place of all stable memory. */
  async setStableMemory(content: Uint8Array): Promise<void> {
    await this.#intervene({ kind: "set_stable_memory", canister: this.#id, content });
  }

  /** As its controllers see it; no round passes. */
  async status(): Promise<CanisterStatus> {
    return statusOf(await queryManagement<CandidStatus>(this.#session, this.#controller, "canister_status", this.#id));
  }

  /** What is left out stays as it is. */
  async updateSettings(change: SettingsChange): Promise<void> {
    await this.#manage("update_settings", { settings: candidSettings(change), sender_canister_version: [] });
  }

  /** All that it printed and why it trapped, since the network began. */
  logs(): LogLine[] {
    return this.#session.logs.of(this.#id);
  }

  /** Content of the custom section `icp:public <name>` or `icp:private <name>`; undefined: there is none. */
  metadata(name: string): Uint8Array | undefined {
    const { execution } = this.#session.stateOf(this.#id);
    const module =
      execution && this.#session.subnetOf(this.#id).executor.durable.machine.state.modules.info(execution.moduleHash);
    return module?.metadata.find((section) => section.name === name)?.content;
  }

  async start(): Promise<void> {
    await this.#manage("start_canister");
  }

  /** Waits until what is under way has ended. */
  async stop(): Promise<void> {
    await this.#manage("stop_canister");
  }

  /**
   * Also in the middle of whatever waits for an answer, as on the real network. The heap of a module with orthogonal
   * persistence is kept, if nothing else is said.
   */
  async upgrade(options: UpgradeOptions): Promise<void> {
    checkOptions("upgrade", options, UPGRADE);
    const { wasm, skipPreUpgrade, wasmMemoryPersistence, ...init } = options;
    const isOrthogonal = this.metadata("enhanced-orthogonal-persistence") !== undefined;
    const persistence = wasmMemoryPersistence ?? (isOrthogonal ? "keep" : undefined);
    const mode = {
      kind: "upgrade",
      ...(skipPreUpgrade !== undefined && { skipPreUpgrade }),
      ...(persistence !== undefined && { wasmMemoryPersistence: persistence }),
    } as const;
    await this.#install(wasm, init, mode);
  }

  async reinstall(options: InitArgument & { readonly wasm: Uint8Array }): Promise<void> {
    checkOptions("reinstall", options, MODULE);
    const { wasm, ...init } = options;
    await this.#install(wasm, init, { kind: "reinstall" });
  }

  async uninstall(): Promise<void> {
    await this.#manage("uninstall_code", { sender_canister_version: [] });
  }

  /** It has to be stopped. */
  async delete(): Promise<void> {
    await this.#manage("delete_canister");
  }

  /** `replace`: this one goes, as a canister has at most ten. */
  async takeSnapshot({ replace }: { readonly replace?: Snapshot } = {}): Promise<Snapshot> {
    const argument = { replace_snapshot: replace ? [replace.id] : [], uninstall_code: [], sender_canister_version: [] };
    return snapshotOf(await this.#manage<CandidSnapshot>("take_canister_snapshot", argument));
  }

  /** Also one of another canister that the caller controls. */
  async loadSnapshot({ id }: Pick<Snapshot, "id">): Promise<void> {
    await this.#manage("load_canister_snapshot", { snapshot_id: id, sender_canister_version: [] });
  }

  async snapshots(): Promise<Snapshot[]> {
    return (await this.#manage<CandidSnapshot[]>("list_canister_snapshots")).map(snapshotOf);
  }

  async deleteSnapshot({ id }: Pick<Snapshot, "id">): Promise<void> {
    await this.#manage("delete_canister_snapshot", { snapshot_id: id });
  }

  /** Anonymous when it has none: what only controllers may do is then refused. */
  get #controller(): PrincipalId {
    return this.#session.stateOf(this.#id).settings.controllers[0] ?? ANONYMOUS;
  }

  #candid(): CandidInterface {
    const candid = this.#session.known.get(this.#id)?.candid;
    if (candid !== undefined) return candid;
    throw new TypeError(`no Candid interface of ${this} is known: give \`candid\`, or use network.call with bytes`);
  }

  #call(method: CandidMethod, args: readonly unknown[]) {
    return {
      sender: this.#caller,
      receiver: this.#id,
      methodName: method.name,
      arg: encodeArguments(method, args),
    };
  }

  async #query(method: CandidMethod, args: readonly unknown[]): Promise<unknown> {
    return decodeReply(method, await this.#session.query(this.#call(method, args)));
  }

  async #submit<Result>(method: CandidMethod, args: readonly unknown[]): Promise<SubmittedCall<Result>> {
    return this.#session.submit(this.#call(method, args), (reply) => decodeReply(method, reply) as Result);
  }

  async #manage<Result = void>(method: ManagementMethodName, argument: object = {}): Promise<Result> {
    return manage<Result>(this.#session, this.#controller, method, { canister_id: this.id, ...argument });
  }

  async #install(wasm: Uint8Array, init: InitArgument, mode: InstallMode): Promise<void> {
    await installCode(this.#session, this.#controller, this.#id, { wasm, arg: initArgument(init), mode });
  }

  async #intervene(intervention: Intervention): Promise<void> {
    await this.#session.intervene(this.#session.subnetOf(this.#id).id, intervention);
  }
}

interface CandidSnapshot {
  readonly id: Uint8Array;
  readonly taken_at_timestamp: bigint;
  readonly total_size: bigint;
}

function snapshotOf({ id, taken_at_timestamp, total_size }: CandidSnapshot): Snapshot {
  return { id, takenAt: taken_at_timestamp, bytes: total_size };
}

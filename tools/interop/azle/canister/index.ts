// A canister as an Azle user writes it: notes in a stable map, which an upgrade keeps; a counter on the heap, which it
// does not; a timer; a call to itself; a trap. Azle compiles it to JavaScript inside its interpreter's Wasm.
import {
  call,
  canisterSelf,
  IDL,
  init,
  msgCaller,
  type Principal,
  query,
  StableBTreeMap,
  setTimer,
  trap,
  update,
} from "azle";

export default class Notes {
  notes = new StableBTreeMap<string, string>(0);
  changes = 0n;
  rings = 0n;

  @init([IDL.Text])
  begin(first: string): void {
    this.notes.insert("first", first);
  }

  /** Gives what stood there before. */
  @update([IDL.Text, IDL.Text], IDL.Opt(IDL.Text))
  put(key: string, text: string): [] | [string] {
    this.changes += 1n;
    return optional(this.notes.insert(key, text));
  }

  @query([IDL.Text], IDL.Opt(IDL.Text))
  get(key: string): [] | [string] {
    return optional(this.notes.get(key));
  }

  @query([], IDL.Record({ changes: IDL.Nat, rings: IDL.Nat }))
  counts(): { changes: bigint; rings: bigint } {
    return { changes: this.changes, rings: this.rings };
  }

  @update([])
  ring(): void {
    setTimer(0, () => {
      this.rings += 1n;
    });
  }

  @update([], IDL.Principal)
  whoami(): Principal {
    return msgCaller();
  }

  @update([], IDL.Principal)
  async askMyself(): Promise<Principal> {
    return await call<[], Principal>(canisterSelf(), "whoami", { returnIdlType: IDL.Principal });
  }

  @update([])
  putAndTrap(): void {
    this.notes.insert("first", "lost");
    this.changes += 100n;
    trap("as asked");
  }
}

function optional(text: string | undefined): [] | [string] {
  return text === undefined ? [] : [text];
}

// Where the instruction counter is while a function runs, and what is charged where (instruction costs, section 2): a
// block's cost is charged at its start. The counter lives in a local; the global that the host sees is written before
// calls, at loop heads and when the function is left, and read again after calls.
import type { CodeCursor } from "./code-cursor.ts";
import { Edit, type EditList } from "./edits.ts";

/** Where the counter is: only in the local, in both, or only in the global. */
export const Counter = { local: 0, both: 1, global: 2 } as const;

export class ChargePlan {
  /** Of the block that is being added up. */
  cost = 0;
  /** One of `Counter`. */
  counter: number = Counter.both;
  private readonly code: CodeCursor;
  private readonly edits: EditList;
  /** The charge that is being added up, and whether it put the counter into the local. */
  private open = 0;
  private openMoved = false;
  private beforeOpen: number = Counter.both;

  constructor(code: CodeCursor, edits: EditList) {
    this.code = code;
    this.edits = edits;
  }

  /** A function's entry, at `start`: costs 1 by itself. */
  begin(start: number): void {
    this.cost = 1;
    this.open = this.edits.add(start, Edit.entry);
    this.openMoved = true;
    this.beforeOpen = Counter.both;
    this.counter = Counter.local;
  }

  /** Ends the block whose cost was added up and begins the next one at the current position. */
  nextBlock(kind: number): void {
    this.closeBlock();
    this.beginBlock(kind);
  }

  beginBlock(kind: number): void {
    const plain = kind === Edit.charge;
    this.beforeOpen = this.counter;
    this.open = this.edits.add(this.code.pos, plain && this.counter === Counter.global ? Edit.chargeFromGlobal : kind);
    this.openMoved = plain;
    this.counter = plain ? Counter.local : Counter.both;
  }

  /** A charge of 0 is left out, but what it also had to do with the counter stays. */
  closeBlock(): void {
    const { edits, open } = this;
    if (this.cost === 0) {
      const kind = edits.kind(open);
      if (kind === Edit.charge) {
        edits.setKind(open, edits.b(open) === 1 ? Edit.writeBack : Edit.none);
        if (this.openMoved) this.counter = this.beforeOpen;
      } else if (kind === Edit.chargeFromGlobal) {
        edits.setKind(open, Edit.reload);
      }
    }
    edits.setA(open, this.cost);
    this.cost = 0;
  }

  /** The global gets the counter: with the charge itself when that is what moved it away. */
  writeBack(at: number): void {
    if (this.openMoved) {
      this.edits.setB(this.open, 1);
      this.openMoved = false;
    } else {
      this.edits.add(at, Edit.writeBack);
    }
    this.counter = Counter.both;
  }

  needLocal(at: number): void {
    if (this.counter !== Counter.global) return;
    this.edits.add(at, Edit.reload);
    this.counter = Counter.both;
  }

  /** The host sees the counter as it is. */
  tellHost(at: number): void {
    if (this.counter === Counter.local) this.writeBack(at);
  }
}

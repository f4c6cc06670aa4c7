// What it takes to execute an installed canister with nothing around it: its code and memories, and the input of an
// update that nobody's message is behind.
import { type ExecutionInput, Mode } from "@atoll/embedder";
import type { CanisterState } from "@atoll/state";
import { type CanisterId, invariant } from "@atoll/types";
import { commonInput } from "../packages/execution/src/execution-inputs.ts";
import { LongExecutions } from "../packages/execution/src/long-executions.ts";
import type { BenchSubnet } from "./subnet.ts";

export function bareExecution(
  { machine }: BenchSubnet,
  id: CanisterId,
  own: Pick<ExecutionInput, "caller" | "arg" | "maxReplyBytes">,
) {
  const canister = machine.state.canisters.get(id) as CanisterState;
  const { execution, cycles } = canister;
  const module = execution && machine.state.modules.get(execution.moduleHash);
  invariant(execution !== undefined && module !== undefined, "the canister has code");
  const round = { ...machine, long: new LongExecutions(), events: [], instructionsLeft: 0 };
  const input = {
    ...commonInput(round, canister, cycles),
    ...{ mode: Mode.update, rejectCode: 0, rejectMessage: "", deadlineSeconds: 0 },
    ...{ cyclesAvailable: 0n, cyclesRefunded: 0n, responded: false, callContextInstructions: 0 },
    ...{ instructionLimit: 40_000_000_000, stablePageLimit: 1 },
    ...own,
  };
  return { input, execution, cycles, source: { module, heap: execution.heap, globals: execution.globals } };
}

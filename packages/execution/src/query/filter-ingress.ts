// What decides whether a user's message may enter a block, whomever it is for: the canister's own word on it, or the
// rules of the management canister. Run by one node on the certified state; a refusal costs nobody anything.
import { type IngressMessage, MANAGEMENT_CANISTER, type UserError } from "@atoll/types";
import { filterManagementIngress, type ManagementFacts } from "../management/ingress-filter.ts";
import { outOfCycles } from "../prepayment.ts";
import { filterCanisterIngress } from "./inspect-message.ts";
import type { QueryExecutor } from "./query-executor.ts";
import { queryCanister, queryFreezingThreshold } from "./query-state.ts";

/** Undefined lets the message in. */
export function filterIngress(executor: QueryExecutor, message: IngressMessage): UserError | undefined {
  if (message.receiver !== MANAGEMENT_CANISTER) return filterCanisterIngress(executor, message);
  return filterManagementIngress(managementFacts(executor), message);
}

function managementFacts({ state, fees }: QueryExecutor): ManagementFacts {
  return {
    canister: (id) => state.canisters.get(id)?.view,
    unpaid: (id, { byteSize, sender }) => {
      const canister = queryCanister(state, id);
      if (canister === undefined) return undefined;
      const { view } = canister;
      const required = queryFreezingThreshold(fees, canister) + fees.ingress(byteSize);
      return view.cycles < required ? outOfCycles(view, required, sender) : undefined;
    },
    provisional: state.config.provisional,
    subnetAdmins: state.config.subnetAdmins,
  };
}

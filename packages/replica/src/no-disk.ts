// What stands for state-on-disk.ts in a bundle for browsers (package.json, "imports"): a network in a tab has nowhere to
// keep a state, and the code for it would be a twentieth of the bundle.
import { EnvironmentError } from "@atoll/types";

export class StateOnDisk {
  constructor() {
    throw new EnvironmentError("NO_DISK", "A network in a browser lives in memory only: open it without a storage.");
  }
}

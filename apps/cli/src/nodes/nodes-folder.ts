// Whether a state folder holds a network of many nodes: asked before it is decided what has to be loaded for a start, and
// hence apart from everything that such a network takes.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { NODES_FOLDER } from "@atoll/host-node/nodes-folder";

export function holdsNodes(stateDir: string): boolean {
  return existsSync(join(stateDir, NODES_FOLDER));
}

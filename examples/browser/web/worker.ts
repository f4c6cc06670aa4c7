// The Worker: a whole network, and nothing else.
import { serveNetwork } from "@atoll/pocket-ic/worker/serve-network";

serveNetwork(self);

// Names in a state folder that more than the state folder itself has to know: what starts a network looks for them before
// it loads anything.

/** The folder of a network of many nodes, and what it is called while it is made. */
export const NODES_FOLDER = "nodes";
export const NODES_MAKING = "nodes-making";

// Tree: a treap of 20,000 nodes with pointers, insertions and look-ups.
class Node {
  left: Node | null = null;
  right: Node | null = null;
  constructor(public key: u32, public priority: u32) {}
}

let seed: u32 = 1;
function random(): u32 { seed ^= seed << 13; seed ^= seed >> 17; seed ^= seed << 5; return seed; }

function insert(tree: Node | null, key: u32): Node {
  if (tree == null) return new Node(key, random());
  if (key < tree.key) {
    const left = insert(tree.left, key);
    tree.left = left;
    if (left.priority > tree.priority) { tree.left = left.right; left.right = tree; return left; }
  } else if (key > tree.key) {
    const right = insert(tree.right, key);
    tree.right = right;
    if (right.priority > tree.priority) { tree.right = right.left; right.left = tree; return right; }
  }
  return tree;
}

let root: Node | null = null;

export function setup(): void { for (let i = 0; i < 20000; i++) root = insert(root, random() % 40000); }

export function run(rounds: i32): i32 {
  let found = 0;
  for (let r = 0; r < rounds; r++) {
    for (let i = 0; i < 20000; i++) {
      const key = random() % 40000;
      let node = root;
      while (node != null && node.key != key) node = key < node.key ? node.left : node.right;
      if (node != null) found++;
      else if ((i & 15) == 0) root = insert(root, key);
    }
  }
  return found;
}

// What the page shows: a card for each subnet, and a line for each thing that happened.

const MAX_LINES = 40;

export interface SubnetCard {
  readonly name: string;
  readonly increment: HTMLButtonElement;
  readonly across: HTMLButtonElement;
  showHeight(height: number): void;
  showCount(count: bigint): void;
  installed(canisterId: string): void;
  enable(): void;
}

export function subnetCard(name: string, id: string, otherId: string): SubnetCard {
  const template = element("subnet", HTMLTemplateElement);
  const card = template.content.cloneNode(true) as DocumentFragment;
  const part = <T extends Element>(selector: string): T => {
    const found = card.querySelector<T>(selector);
    if (found === null) throw new Error(`the card has no ${selector}`);
    return found;
  };
  const height = part<HTMLOutputElement>(".height output");
  const count = part<HTMLOutputElement>(".count");
  const canister = part(".canister");
  const increment = part<HTMLButtonElement>(".increment");
  const across = part<HTMLButtonElement>(".across");
  part("h2").textContent = name;
  part(".id code").textContent = id;
  across.title = `A message to the counter on ${otherId}`;
  element("subnets").append(card);
  return {
    name,
    increment,
    across,
    showHeight: (value) => {
      height.value = String(value);
    },
    showCount: (value) => {
      count.value = String(value);
    },
    installed: (canisterId) => {
      canister.textContent = `Canister ${canisterId}`;
      count.value = "0";
    },
    enable: () => {
      increment.disabled = false;
      across.disabled = false;
    },
  };
}

export interface Line {
  readonly text: string;
  readonly tookMs?: number;
  readonly isFailure?: boolean;
}

export function showLine({ text, tookMs, isFailure = false }: Line): void {
  const line = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString();
  const what = document.createElement("span");
  what.textContent = text;
  what.classList.toggle("failed", isFailure);
  const took = document.createElement("span");
  took.className = "took";
  took.textContent = tookMs === undefined ? "" : `${Math.round(tookMs)} ms`;
  line.append(time, what, took);
  const list = element("log");
  list.prepend(line);
  while (list.childElementCount > MAX_LINES) list.lastElementChild?.remove();
}

export function showProblem(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  const problem = element("problem");
  problem.textContent = text;
  problem.hidden = false;
  showLine({ text, isFailure: true });
}

export function element<T extends HTMLElement>(id: string, type?: new () => T): T {
  const found = document.getElementById(id);
  if (found === null || (type !== undefined && !(found instanceof type))) throw new Error(`no element #${id}`);
  return found as T;
}

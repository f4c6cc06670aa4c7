import { startNetwork, endAll } from "./process.ts";
import { agentOf, recorderActor } from "./recorder.ts";
import { Principal } from "@icp-sdk/core/principal";
const n = await startNetwork({ stateDir: process.argv[2]! });
for (const id of ["rwlgt-iiaaa-aaaaa-aaaaa-cai","rrkah-fqaaa-aaaaa-aaaaq-cai"]) {
  const a = recorderActor(agentOf(n), Principal.fromText(id));
  for (let i=0n;i<12n;i++) { const c=[...await a.countsOf(i)]; console.log(id.slice(0,5), i, c.length, c.map((x,k)=>x===1?"":`${k}:${x}`).filter(Boolean).join(" ")); }
  console.log(await a.totalCount());
}
await endAll();

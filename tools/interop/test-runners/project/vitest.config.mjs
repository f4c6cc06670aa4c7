// As Vitest's own documentation begins it.
export default { test: { globals: true, include: ["counter.test.mjs"], testTimeout: 20_000 } };

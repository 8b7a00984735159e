// Dashboards as TypeScript: imported as JSON their literals would be widened to `string` and `number`.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
const files = readdirSync(folder).filter((file) => file.endsWith('.json')).sort();
const lines = ["import type { KhdDashboard } from './khd';"];
files.forEach((file, n) => {
  const text = readFileSync(join(folder, file), 'utf8').trim();
  JSON.parse(text);
  lines.push(`// ${file}`, `export const d${n} = ${text} satisfies KhdDashboard;`);
});
writeFileSync('dashboards.ts', lines.join('\n') + '\n');
console.log(`${files.length} dashboards`);

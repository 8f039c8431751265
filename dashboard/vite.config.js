/** Builds the page to static files that need nothing from elsewhere. The daemon serves them (`src/control/ui.ts`). */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: '/ui/',
  logLevel: 'warn',
  build: {
    outDir: '../dist/ui',
    emptyOutDir: true,
    target: 'es2022',
    // The content policy lets no `data:` address in.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});

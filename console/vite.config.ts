import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// `npm run dev` shows the sources against a running server: GATEHOUSE_URL=https://127.0.0.1:8443.
const server = process.env.GATEHOUSE_URL;

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // a data: URL would need its own line in the Content-Security-Policy
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
  },
  server: server ? { proxy: { '/api': { target: server, secure: false, changeOrigin: true } } } : {},
});

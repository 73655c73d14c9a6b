// What the server answers to, read from its sources, so that a new route is attacked the day it is written.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const source = (path) => readFileSync(new URL(`../../src/${path}`, import.meta.url), 'utf8');

// The native API, as its own document lists it (a test of the document compares it with the table of routes):
// [{ method, path }], a path with {names}.
export const nativeRoutes = () => Object.entries(JSON.parse(source('api/openapi.json')).paths).flatMap(([path, methods]) =>
  Object.keys(methods).filter((method) => /^(get|put|post|patch|delete)$/.test(method)).map((method) => ({ method: method.toUpperCase(), path })));

// The same from the table of routes, with what it says of each: [{ method, path, handler, permission, flags }].
export function apiTable() {
  const text = source('api/router.c'), macros = {};
  const strings = (parts) => [...parts.matchAll(/"([^"]*)"|(\w+)/g)].map(([, string, name]) => string ?? macros[name]).join('');
  for (const [, name, value] of text.matchAll(/^#define (\w+) ((?:\w+ )?"[^\n]*")$/gm)) macros[name] = strings(value);
  const rows = [...text.matchAll(/\{"([A-Z]+)", ([^,]+), (api_\w+),\s*(?:P\((\w+)\)|0),\s*([A-Z0|\s]+)\}/g)]
    .map(([, method, path, handler, permission, flags]) => ({ method, path: strings(path), handler, permission, flags: flags.split('|').map((flag) => flag.trim()) }));
  assert.equal(rows.length, [...text.matchAll(/, api_\w+,/g)].length, 'every row was read');
  return rows;
}

// Google's REST: [{ method, path, permission, handler, ofGroup }]; what is also there for a group of devices comes once more.
export function googleRoutes() {
  const text = source('dialect/google/rest_route.c'), macros = {};
  const strings = (parts) => [...parts.matchAll(/"([^"]*)"|(\w+)/g)].map(([, string, name]) => string ?? macros[name]).join('');
  for (const [, name, value] of text.matchAll(/^#define (\w+) ((?:\w+ )?"[^\n]*"|PROJECT[^\n]*|REGISTR\w+[^\n]*)$/gm)) macros[name] = strings(value);
  const row = /\{\.method = "([A-Z]+)",\s*\.pattern = ([^,]+),\s*(?:\.group_pattern = ([^,]+),\s*)?\.permission = (\w+),\s*\.(?:handler|waiting) = (\w+)/g;
  return [...text.matchAll(row)].flatMap(([, method, pattern, group, permission, handler]) => [pattern, group].filter(Boolean).map((each, i) =>
    ({ method, path: strings(each), permission: permission.replace('GH_PERMISSION_', ''), handler, ofGroup: i === 1 })));
}

// Google's methods over gRPC: ['/google.cloud.iot.v1.DeviceManager/GetDevice', …].
export function grpcMethods() {
  const text = source('dialect/google/grpc_method.c'), services = {};
  for (const [, name, path] of text.matchAll(/^#define (\w+) "(\/[^"]+\/)"$/gm)) services[name] = path;
  return [...text.matchAll(/\{(\w+) "(\w+)",/g)].map(([, service, method]) => services[service] + method);
}

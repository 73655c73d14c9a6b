// One clock for all that says "3 min ago". It rests while nobody looks.

export const clock = $state<{ now: number; tick: number }>({ now: Date.now(), tick: performance.now() });

let timer: ReturnType<typeof setInterval> | undefined;

export function startClock(): () => void {
  const tick = (): void => {
    clock.now = Date.now();
    clock.tick = performance.now();
  };
  const follow = (): void => {
    clearInterval(timer);
    tick();
    if (!document.hidden) timer = setInterval(tick, 1000);
  };
  follow();
  document.addEventListener('visibilitychange', follow);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', follow);
  };
}

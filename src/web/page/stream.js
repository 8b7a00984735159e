// The connection to the server: what it tells goes to those who listen, and the page knows whether it still hears.

const AGAIN_MS = 2000;
// A sample comes each second. Who hears nothing for so long hears nothing any more, whatever the browser believes.
const SILENCE_MS = 15000;

export function connect(address, listeners, changed) {
  let source;
  let heard;

  function open() {
    source = new EventSource(address);
    heard = Date.now();
    source.onopen = () => changed("open");
    source.onerror = () => {
      changed("lost");
      // The browser tries again by itself, unless it was answered with something else than a stream.
      if (source.readyState === EventSource.CLOSED) setTimeout(open, AGAIN_MS);
    };
    for (const [name, listener] of Object.entries(listeners)) {
      source.addEventListener(name, (event) => {
        heard = Date.now();
        listener(JSON.parse(event.data));
      });
    }
  }

  open();
  setInterval(() => {
    if (source.readyState !== EventSource.OPEN || Date.now() - heard < SILENCE_MS) return;
    source.close();
    changed("lost");
    open();
  }, 1000);
}

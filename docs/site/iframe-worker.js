/* Let search work when the site is opened from the file system.
 *
 * Browsers do not start a Web Worker from a file:// URL. The theme searches in a worker, so for
 * file:// this file replaces Worker by a class that runs the same script in a hidden frame. On a
 * web server it does nothing.
 */
(() => {
  if (location.protocol !== "file:") return;

  class FrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.appendChild(this.frame);
      const inside = this.frame.contentWindow;
      window.addEventListener("message", (event) => {
        if (event.source !== inside) return;
        const message = new MessageEvent("message", { data: event.data });
        this.dispatchEvent(message);
        if (this.onmessage) this.onmessage(message);
      });
      this.loaded = new Promise((resolve) => {
        const page = inside.document;
        page.open();
        page.write("<!doctype html><body></body>");
        page.close();
        // A worker posts to the page that started it. The function is made inside the frame, since
        // the source of a message is the window of the function that posts it.
        inside.postMessage = new inside.Function("data", "parent.postMessage(data, '*')");
        const script = page.createElement("script");
        script.src = url;
        script.onload = resolve;
        page.body.appendChild(script);
      });
    }

    postMessage(data) {
      this.loaded.then(() => {
        const inside = this.frame.contentWindow;
        inside.dispatchEvent(new inside.MessageEvent("message", { data }));
      });
    }

    terminate() {
      this.frame.remove();
    }
  }

  window.Worker = FrameWorker;
})();

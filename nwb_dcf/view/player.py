"""The part of a page that lives in the browser: it shows the frame of the moment and receives keys.

Everything else is drawn by bokeh. Each picture that is on the screen is reported back, so that the next is sent when
the browser is ready for it, and frames a second are counted where they are shown.
"""

from __future__ import annotations

import param
from panel.custom import JSComponent

# Texts go in by textContent and never as HTML: names come from the file, and a file may come from anybody.
SCRIPT = """
export function render({ model }) {
  const box = document.createElement("div")
  const image = document.createElement("img")
  const line = document.createElement("div")
  box.className = "moment"
  image.alt = "frame of the video at this moment"
  image.style.cssText = "display:block;max-width:100%;image-rendering:auto;background:#eee"
  line.style.cssText = "font:12px sans-serif;color:#333;padding:2px 0;min-height:15px"
  line.setAttribute("aria-live", "off")
  const moment = document.createElement("div")
  moment.className = "now"
  moment.style.cssText = "font:bold 13px sans-serif;min-height:18px;padding:2px 0;white-space:nowrap"
  box.append(moment, image, line)
  const shown = () => requestAnimationFrame(() => model.send_msg({ shown: model.tick }))
  const draw = () => {
    moment.textContent = model.moment
    line.textContent = model.caption
    line.style.display = model.caption ? "block" : "none"
    image.style.display = model.source ? "block" : "none"
    if (model.source && image.src !== model.source) {
      image.onload = shown
      image.onerror = shown
      image.src = model.source
    } else {
      shown()
    }
  }
  model.on("tick", draw)
  const keys = new Set([" ", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Escape",
    ...model.keys])
  const press = (event) => {
    const target = event.composedPath()[0]
    const typing = target && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys.has(event.key)) return
    event.preventDefault()
    if (event.key === "y" && navigator.clipboard) navigator.clipboard.writeText(window.location.href)
    model.send_msg({ key: event.key, shift: event.shiftKey })
  }
  document.addEventListener("keydown", press)
  model.on("remove", () => document.removeEventListener("keydown", press))
  draw()
  return box
}
"""

KEYS = {
    "space": "play or pause",
    "← →": "one frame; with shift one second",
    "n p": "next and previous trial",
    "↑ ↓": "faster, slower",
    "c": "colour by the next choice",
    "a": "the next pair of axes, then three",
    "o": "the frames farthest from their cluster; with shift the fastest",
    "f": "the predicted path from here",
    "+ -": "zoom in time",
    "0": "the whole session",
    "Esc": "leave the chosen frames",
    "y": "copy the link to this view",
}


class Player(JSComponent):  # type: ignore[misc]
    """The picture of the moment, its caption, and the keys that were pressed.

    Attributes
    ----------
    source : str
        Address that holds the picture.
    caption : str
    moment : str
        What is known of the moment.
    tick : int
        Counts what is sent; a change of it draws.
    """

    source = param.String(default="")
    caption = param.String(default="")
    moment = param.String(default="")
    tick = param.Integer(default=0)
    keys = param.List(default=["n", "p", "c", "a", "o", "O", "f", "+", "-", "=", "0", "y"])

    _esm = SCRIPT

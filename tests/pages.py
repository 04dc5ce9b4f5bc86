"""Pages of `landuse view` as a reader works them."""

import json

from browser import Browser, wait_for


def drawn(browser: Browser) -> bool:
    return bool(browser.run("return !find('controls').hidden && document.querySelector('canvas.leaflet-tile-loaded')"))


def requested(browser: Browser) -> list[str]:
    """Addresses since the log was last read, but for what a data URI holds and for the browser's own pages."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith(("data:", "chrome"))]


def spot(browser: Browser, column: float, row: float) -> dict[str, float]:
    """Where on the screen a place of the grid lies."""
    found: dict[str, float] = browser.run(f"""return started.then(({{map, view}}) => {{
        view.stop(); // a popup moves the map into its view
        const {{x, y}} = view.latLngToContainerPoint(latlng(map.placeOf({column}, {row})));
        const box = find('map').getBoundingClientRect();
        return {{x: box.x + x, y: box.y + y}};
    }})""")
    return found


def click(browser: Browser, column: int, row: int) -> None:
    """Click into the middle of a cell with the mouse."""
    where = spot(browser, column + 0.5, row + 0.5)
    for kind in ("mousePressed", "mouseReleased"):
        browser.devtools("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)


def key(browser: Browser, name: str, code: int, text: str = "") -> None:
    for kind in ("keyDown", "keyUp"):
        browser.devtools("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, text=text)


def popup(browser: Browser) -> dict[str, str]:
    """Its rows by their heads, and its heading."""
    found: dict[str, str] = browser.run("""
        const popup = document.querySelector('.leaflet-popup-content');
        if (!popup) return {};
        const rows = [...popup.querySelectorAll('tr')].map(row => [row.cells[0].innerText, row.lastChild.innerText]);
        return {...Object.fromEntries(rows), heading: popup.querySelector('h2').innerText};""")
    return found


def colour(browser: Browser, column: int, row: int, pane: str = "cells") -> list[int]:
    """RGBA that a layer has in the middle of a cell."""
    where = spot(browser, column + 0.5, row + 0.5)
    found: list[int] = browser.run(f"""
        for (const tile of document.querySelectorAll('.leaflet-{pane}-pane canvas')) {{
          const box = tile.getBoundingClientRect(), x = {where["x"]} - box.x, y = {where["y"]} - box.y;
          if (x < 0 || y < 0 || x >= box.width || y >= box.height) continue;
          const scale = tile.width / box.width;
          return [...tile.getContext('2d').getImageData(x * scale, y * scale, 1, 1).data];
        }}
        return null;""")
    return found


def choose(browser: Browser, look: str) -> None:
    browser.run(f"""const select = find('look');
        select.value = [...select.options].find(option => option.text === {json.dumps(look)}).value;
        select.dispatchEvent(new Event('change'));""")
    wait_for("the new colours", lambda: drawn(browser))


def rgba(code: str) -> list[int]:
    return [*bytes.fromhex(code[1:]), 255]

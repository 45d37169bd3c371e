// The explorer's page: the viewer over the live server.
import { mount } from "./viewer.js";
import { httpSource } from "./http_source.js";

// Behind a proxy the page is not at the top of its address, and what it asks for is beside it.
const here = new URL(".", location.href).pathname.replace(/\/$/, "");
mount(document.getElementById("viewer"), httpSource(here), { address: true, theme: true });

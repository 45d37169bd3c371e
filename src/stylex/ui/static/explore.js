// The explorer's page: the viewer over the live server.
import { mount } from "./viewer.js";
import { httpSource } from "./http_source.js";

mount(document.getElementById("viewer"), httpSource(""), { address: true, theme: true });

// Draws a component again only when what it shows has changed: a long conversation then costs as much as a short one.

import { Component, html } from "../vendor/htm-preact-3.1.1.js";

/** `fields` are the properties that the component shows; functions that only call the server aren't among them. */
export const kept = (inner, fields) =>
  class Kept extends Component {
    shouldComponentUpdate(next) {
      return fields(next).some((value, index) => value !== fields(this.props)[index]);
    }

    render(props) {
      return html`<${inner} ...${props} />`;
    }
  };

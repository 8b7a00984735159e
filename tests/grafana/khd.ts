// What khd allows in a dashboard: Grafana's own types, with options and field configs of the panels that khd uses.
import type { AnnotationQuery, Dashboard, DataQuery, FieldConfigSource, Panel, VariableModel } from '@grafana/schema';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type {
  FieldConfig as StateTimelineField,
  Options as StateTimelineOptions,
} from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type {
  FieldConfig as TableField,
  Options as TableOptions,
} from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type {
  FieldConfig as TimeSeriesField,
  Options as TimeSeriesOptions,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// A literal of JSON is no member of a string enum, so enums are taken for the union of their values. Enums of numbers
// take number literals as they are.
export type Plain<T> = T extends string
  ? string extends T ? T : `${T}`
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;

type Source = { type: 'prometheus'; uid: 'khd-prometheus' };

// @grafana/schema has no type for Prometheus' queries, nor for what its annotations have beside the common properties.
type Query = Omit<DataQuery, 'datasource'> & {
  datasource: Source;
  expr: string;
  instant: boolean;
  range: boolean;
  legendFormat?: string;
  interval?: string;
  format?: 'time_series' | 'table' | 'heatmap';
  editorMode?: 'code' | 'builder';
};

type Annotation = Omit<AnnotationQuery, 'datasource' | 'target'> & {
  datasource: Source;
  target: Query;
  expr: string;
  step: string;
  titleFormat: string;
  textFormat: string;
  tagKeys: string;
  useValueForTime: false;
};

type Variable = Omit<VariableModel, 'datasource' | 'query'> & {
  type: 'query';
  datasource: Source;
  query: { qryType: number; query: string; refId: string };
};

type Of<Type extends string, Options, Custom> = Omit<
  Panel, 'type' | 'title' | 'description' | 'datasource' | 'targets' | 'options' | 'fieldConfig' | 'gridPos' | 'id'
> & {
  type: Type;
  id: number;
  title: string;
  description: string;
  datasource: Source;
  targets: Query[];
  options: Options;
  gridPos: NonNullable<Panel['gridPos']>;
  fieldConfig: Omit<FieldConfigSource, 'defaults'> & {
    defaults: Omit<FieldConfigSource['defaults'], 'custom'> & { custom?: Custom };
  };
};

// The panel has this property, and @grafana/schema does not know it.
type Nulls = { spanNulls: false };

type KhdPanel =
  | Of<'stat', StatOptions, never>
  | Of<'timeseries', TimeSeriesOptions, TimeSeriesField & Nulls>
  | Of<'state-timeline', StateTimelineOptions, StateTimelineField & Nulls>
  | Of<'table', TableOptions, TableField>;

export type KhdDashboard = Plain<
  Omit<Dashboard, 'annotations' | 'id' | 'panels' | 'schemaVersion' | 'tags' | 'templating' | 'uid'> & {
    annotations: { list: Annotation[] };
    id: null;
    panels: KhdPanel[];
    schemaVersion: 42;
    tags: ['khd'];
    templating: { list: Variable[] };
    uid: string;
  }
>;

// What is a dashboard of khd is one of Grafana.
export const widened = (dashboard: KhdDashboard): Plain<Dashboard> => dashboard;
